import { isLoopbackHost } from "../addresses.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf } from "../raw-values.ts";
import { policyFault } from "./cedar-text.ts";

/** Each is named after the type that it belongs to. */
const BLOCKS = ["oidc", "apiKey"] as const;
const OIDC_URLS = ["issuer", "jwksUrl", "introspectionUrl"] as const;

/** That clients are told apart wherever strangers can reach the listener, and that each kind has its block. */
export function checkIncomingAuth(raw: RawObject, host: string): readonly Finding[] {
  if (raw["incomingAuth"] === undefined) return checkAbsent(raw, host);
  const auth = objectOf(raw["incomingAuth"]);
  return [...checkType(auth, host), ...checkOidc(auth), ...checkKeys(auth), ...checkAuthz(auth)];
}

function checkAbsent(raw: RawObject, host: string): readonly Finding[] {
  const path = ["incomingAuth"];
  if (!isLoopbackHost(host)) {
    const message =
      "is missing, but the gateway listens on an address that other machines can reach; say who may call";
    return [problem(path, message)];
  }
  if (raw["backends"] !== undefined) return [];
  return [problem(path, "is missing; write {type: anonymous} to serve everyone on this machine")];
}

function checkType(auth: RawObject, host: string): readonly Finding[] {
  const type = auth["type"];
  if (type === "anonymous" && !isLoopbackHost(host) && auth["allowInsecureAnonymous"] !== true) {
    const message =
      "anonymous lets everyone who can reach this address call every tool; listen on 127.0.0.1 or set allowInsecureAnonymous: true";
    return [problem(["incomingAuth", "type"], message)];
  }
  return BLOCKS.flatMap((block) => checkBlock(auth, block));
}

function checkBlock(auth: RawObject, block: (typeof BLOCKS)[number]): readonly Finding[] {
  const type = textOf(auth["type"]);
  const path = ["incomingAuth", block];
  if (type === block && auth[block] === undefined) {
    return [problem(path, `is missing; type: ${block} needs it`)];
  }
  if (type === undefined || type === block || auth[block] === undefined) return [];
  return [problem(path, `means nothing unless type is ${block}`)];
}

function checkOidc(auth: RawObject): readonly Finding[] {
  const oidc = objectOf(auth["oidc"]);
  if (oidc["insecureAllowHttp"] === true) return [];
  return OIDC_URLS.filter((field) => textOf(oidc[field])?.startsWith("http://") === true).map(
    (field) => problem(["incomingAuth", "oidc", field], "must be an https:// URL"),
  );
}

function checkKeys(auth: RawObject): readonly Finding[] {
  return listOf(objectOf(auth["apiKey"])["keys"]).flatMap((entry, index) => {
    const key = objectOf(entry);
    if ((key["sha256"] === undefined) !== (key["secret"] === undefined)) return [];
    return [problem(["incomingAuth", "apiKey", "keys", index], "needs one of sha256 and secret")];
  });
}

function checkAuthz(auth: RawObject): readonly Finding[] {
  const authz = objectOf(auth["authz"]);
  if (authz["type"] !== "cedar") return [];
  const path: ConfigPath = ["incomingAuth", "authz", "policies"];
  const policies = listOf(authz["policies"]);
  if (policies.length === 0) {
    return [problem(path, "must list at least one policy; without one nothing is allowed")];
  }
  return policies.flatMap((policy, index) => {
    const fault = typeof policy === "string" ? policyFault(policy) : undefined;
    return fault === undefined ? [] : [problem([...path, index], fault)];
  });
}
