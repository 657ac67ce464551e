import { classifyHost, type AddressKind } from "../addresses.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { textOf } from "../raw-values.ts";
import type { Environment } from "../references.ts";
import { lookUp } from "../references.ts";

/** Where the gateway asks the issuer. */
const ASKED_URLS = ["issuer", "jwksUrl", "introspectionUrl"] as const;

/** That the issuer may be asked at its addresses, that introspection has its client, and that the resource is an endpoint. */
export function checkOidc(oidc: RawObject, env: Environment): readonly Finding[] {
  return [
    ...ASKED_URLS.flatMap((field) => checkUrl(oidc, field)),
    ...checkIssuer(oidc),
    ...checkClient(oidc, env),
    ...checkResource(oidc),
  ];
}

function pathOf(field: string): ConfigPath {
  return ["incomingAuth", "oidc", field];
}

function checkUrl(oidc: RawObject, field: (typeof ASKED_URLS)[number]): readonly Finding[] {
  const text = textOf(oidc[field]);
  if (text === undefined || !URL.canParse(text)) return [];
  const { protocol, hostname } = new URL(text);
  const kind = placeOf(hostname);
  if (protocol === "http:" && oidc["insecureAllowHttp"] !== true) {
    return [problem(pathOf(field), "must be an https:// URL")];
  }
  if (kind === "refused") {
    const message = "points at a link-local, metadata or otherwise special address";
    return [problem(pathOf(field), message)];
  }
  if (kind !== "private" || oidc["jwksAllowPrivateIp"] === true) return [];
  const message = "points into a private network; set jwksAllowPrivateIp: true if that is meant";
  return [problem(pathOf(field), message)];
}

/** RFC 8414 section 2: nothing but scheme, host and path. */
function checkIssuer(oidc: RawObject): readonly Finding[] {
  const issuer = textOf(oidc["issuer"]);
  if (issuer === undefined || !/[?#]/.test(issuer)) return [];
  return [problem(pathOf("issuer"), "must have no query and no fragment")];
}

function checkClient(oidc: RawObject, env: Environment): readonly Finding[] {
  const { clientId, clientSecretEnv, introspectionUrl } = oidc;
  const variable = textOf(clientSecretEnv);
  if (clientId === undefined && (variable !== undefined || introspectionUrl !== undefined)) {
    return [problem(pathOf("clientId"), "is missing; introspection needs it")];
  }
  if (clientId !== undefined && clientSecretEnv === undefined) {
    const message = "is missing, so that opaque tokens are refused: introspection needs the secret";
    return [warning(pathOf("clientSecretEnv"), message)];
  }
  if (variable === undefined || lookUp(env, variable) !== undefined) return [];
  const message = `names the environment variable ${variable}, which is not set or empty`;
  return [problem(pathOf("clientSecretEnv"), message)];
}

/** RFC 8707 section 2 and RFC 9728 section 1.2. */
function checkResource(oidc: RawObject): readonly Finding[] {
  const resource = textOf(oidc["resource"]);
  if (resource === undefined) return [];
  const path = pathOf("resource");
  if (!URL.canParse(resource) || !/^https?:$/.test(new URL(resource).protocol)) {
    return [problem(path, "must be the URL of the endpoint as clients know it")];
  }
  if (/[?#"]/.test(resource)) return [problem(path, "must have no query and no fragment")];
  const isPrivate = placeOf(new URL(resource).hostname) !== "public";
  if (!isPrivate || oidc["protectedResourceAllowPrivateIp"] === true) return [];
  const message =
    "names a private address, where clients elsewhere find nothing; set protectedResourceAllowPrivateIp: true if that is meant";
  return [problem(path, message)];
}

/** Names are looked at when they are dialled: only then is it known where they lead. */
function placeOf(host: string): AddressKind {
  const isName =
    /[a-z]/i.test(host) && !host.startsWith("[") && !/(?:^|\.)localhost\.?$/i.test(host);
  return isName && classifyHost(host) !== "refused" ? "public" : classifyHost(host);
}
