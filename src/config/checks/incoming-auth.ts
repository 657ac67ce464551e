import { isLoopbackHost } from "../addresses.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf } from "../raw-values.ts";
import type { Environment } from "../references.ts";
import { checkAuthz } from "./authz.ts";
import { checkOidc } from "./oidc.ts";

/** Each is named after the type that it belongs to. */
const BLOCKS = ["oidc", "apiKey"] as const;

/** That clients are told apart wherever strangers can reach the listener, and that each kind has its block. */
export function checkIncomingAuth(
  raw: RawObject,
  host: string,
  env: Environment,
): readonly Finding[] {
  if (raw["incomingAuth"] === undefined) return checkAbsent(raw, host);
  const auth = objectOf(raw["incomingAuth"]);
  return [
    ...checkType(auth, host),
    ...checkLocal(raw, auth, host),
    ...checkOidc(objectOf(auth["oidc"]), env),
    ...checkKeys(auth),
    ...checkClientBinding(auth),
    ...checkAuthz(objectOf(auth["authz"])),
  ];
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

/** Who is at the other end of a connection can only be told within one machine, where the connection ends. */
function checkLocal(raw: RawObject, auth: RawObject, host: string): readonly Finding[] {
  if (auth["type"] !== "local") return [];
  const { workers = 1 } = objectOf(raw["server"]);
  return [
    ...(isLoopbackHost(host)
      ? []
      : [
          problem(
            ["incomingAuth", "type"],
            "local knows users of this machine only; listen on 127.0.0.1 or choose another type",
          ),
        ]),
    ...(workers === 1
      ? []
      : [problem(["server", "workers"], "must be 1 where incomingAuth.type is local")]),
  ];
}

function checkKeys(auth: RawObject): readonly Finding[] {
  const keys = listOf(objectOf(auth["apiKey"])["keys"]).map(objectOf);
  return keys.flatMap((key, index): readonly Finding[] => {
    const path = ["incomingAuth", "apiKey", "keys", index];
    if ((key["sha256"] === undefined) === (key["secret"] === undefined)) {
      return [problem(path, "needs one of sha256 and secret")];
    }
    const others = keys.slice(0, index);
    return [
      ...(others.some(({ id }) => id === key["id"])
        ? [problem([...path, "id"], "names a second key; each needs a name of its own")]
        : []),
      ...(others.some(
        ({ sha256, secret }) => (sha256 ?? secret) === (key["sha256"] ?? key["secret"]),
      )
        ? [problem(path, "is the same key as another one")]
        : []),
      ...checkStrength(textOf(key["secret"]), [...path, "secret"]),
    ];
  });
}

/** A key that can be guessed is worth no more than none, whatever limits guesses. */
const MIN_KEY_LENGTH = 16;

function checkStrength(secret: string | undefined, path: ConfigPath): readonly Finding[] {
  if (secret === undefined || secret.length >= MIN_KEY_LENGTH) return [];
  const least = `has under ${String(MIN_KEY_LENGTH)} characters and can be guessed`;
  return [warning(path, `${least}; use for example \`openssl rand -hex 32\``)];
}

function checkClientBinding(auth: RawObject): readonly Finding[] {
  const { type } = auth;
  const knowsClients = type === "oidc" || type === "apiKey";
  if (auth["bindClient"] !== true || type === undefined || knowsClients) return [];
  const message = "means nothing unless type is oidc or apiKey: other clients are not told apart";
  return [problem(["incomingAuth", "bindClient"], message)];
}
