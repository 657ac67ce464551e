import { isExposedHttp, isLoopbackHost } from "../addresses.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf, valueAt } from "../raw-values.ts";
import { didYouMean } from "../suggestion.ts";
import { transportOf } from "./backends.ts";

/** One strategy in its flat form, and where it stands. */
export interface StrategyUse {
  readonly strategy: RawObject;
  readonly path: ConfigPath;
  /** Where its fields stand, which may be in a block of their own. */
  readonly fieldsPath: ConfigPath;
  /** Absent for the default, and for a backend that is not there. */
  readonly backend: RawObject | undefined;
}

/** That the strategy fits the backend that it is for, and the rest of the configuration. */
export function checkStrategyUse(use: StrategyUse, raw: RawObject): readonly Finding[] {
  return [
    ...checkBackend(use),
    ...checkProvider(use, raw),
    ...checkSubject(use, raw),
    ...checkSignIn(use, raw),
  ];
}

/** Strategies that write the header `Authorization`. */
const BEARER_TYPES: ReadonlySet<string> = new Set([
  "token_exchange",
  "client_credentials",
  "upstream_inject",
  "aws_sts",
  "xaa",
  "oauth",
]);

/** Strategies that ask for credentials in a user's name. */
const SUBJECT_TYPES: ReadonlySet<string> = new Set(["token_exchange", "aws_sts", "xaa"]);

function checkBackend({ strategy, path, backend }: StrategyUse): readonly Finding[] {
  const type = textOf(strategy["type"]);
  if (backend === undefined || type === undefined || type === "unauthenticated") return [];
  if (transportOf(backend) === "stdio") {
    return [problem(path, "is for a stdio backend, which has no headers; use its env instead")];
  }
  const name = BEARER_TYPES.has(type) ? "authorization" : textOf(strategy["headerName"]);
  const isSetTwice = Object.keys(objectOf(backend["headers"])).some(
    (header) => header.toLowerCase() === name?.toLowerCase(),
  );
  if (!isSetTwice) return [];
  return [
    problem(path, "sets a header that the backend's own `headers` set too; keep one of the two"),
  ];
}

/** The link that users are given leads beside it. */
function checkRedirectUri(uri: string | undefined, fieldsPath: ConfigPath): readonly Finding[] {
  if (uri === undefined || !URL.canParse(uri)) return [];
  const path = [...fieldsPath, "redirectUri"];
  if (isExposedHttp(uri)) {
    return [
      problem(path, "would bring sign-ins back readable over a public network; use https://"),
    ];
  }
  if (new URL(uri).pathname.endsWith("/oauth/callback")) return [];
  return [problem(path, "must end in /oauth/callback, where the gateway waits for browsers")];
}

function checkProvider({ strategy, fieldsPath }: StrategyUse, raw: RawObject): readonly Finding[] {
  return ["providerName", "subjectProviderName"].flatMap((field) => {
    const name = textOf(strategy[field]);
    if (name === undefined) return [];
    const providers = providersIn(raw);
    if (providers.includes(name)) return [];
    const message = "names no backend whose strategy is oauth, so that nobody could sign in there";
    return [problem([...fieldsPath, field], message, didYouMean(name, providers))];
  });
}

/** The backends that users sign in to. */
function providersIn(raw: RawObject): readonly string[] {
  const auth = objectOf(raw["outgoingAuth"]);
  const strategies = objectOf(auth["backends"]);
  return listOf(raw["backends"]).flatMap((backend) => {
    const name = textOf(objectOf(backend)["name"]) ?? "";
    const strategy = Object.hasOwn(strategies, name) ? strategies[name] : auth["default"];
    const isProvider =
      objectOf(strategy)["type"] === "oauth" && transportOf(objectOf(backend)) !== "stdio";
    return isProvider ? [name] : [];
  });
}

function checkSubject({ strategy, path }: StrategyUse, raw: RawObject): readonly Finding[] {
  if (!SUBJECT_TYPES.has(textOf(strategy["type"]) ?? "")) return [];
  if (strategy["subjectProviderName"] !== undefined) return [];
  if (valueAt(raw, ["incomingAuth", "type"]) === "oidc") return [];
  const message =
    "asks for credentials with the client's own token, which only incomingAuth of type oidc has; " +
    "without one every call fails";
  return [warning(path, message)];
}

/** Who signs in is told apart by who asks, and keeps what they got in the process that they asked. */
function checkSignIn(
  { strategy, path, fieldsPath }: StrategyUse,
  raw: RawObject,
): readonly Finding[] {
  if (strategy["type"] !== "oauth") return [];
  const findings = [...checkRedirectUri(textOf(strategy["redirectUri"]), fieldsPath)];
  const workers = valueAt(raw, ["server", "workers"]);
  if (workers !== undefined && workers !== 1) {
    const message = "keeps each user's tokens in one process; set server.workers: 1";
    findings.push(problem(path, message));
  }
  const isAnonymous = (valueAt(raw, ["incomingAuth", "type"]) ?? "anonymous") === "anonymous";
  const host = textOf(valueAt(raw, ["server", "host"])) ?? "127.0.0.1";
  if (isAnonymous && !isLoopbackHost(host)) {
    const message = "would give whoever signs in first to all anonymous clients; say who may call";
    findings.push(problem(path, message));
  }
  return findings;
}
