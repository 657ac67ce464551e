import { isJsonObject } from "../../src/domain/json.ts";

/** What a client may read in `error.data.kind`. */
const KINDS: ReadonlySet<unknown> = new Set([
  "backend_unreachable",
  "backend_tls",
  "backend_closed",
  "backend_timeout",
  "backend_protocol",
  "backend_too_large",
  "backend_redirect",
  "backend_http_4xx",
  "backend_http_5xx",
  "backend_rate_limited",
  "backend_auth",
  "backend_session_lost",
  "backend_busy",
  "session_closed",
  "shutting_down",
  "client_answer_timeout",
  "store_unavailable",
  "auth_unavailable",
  "too_many_sessions",
  "overloaded",
  "start_failed",
  "policy_denied",
  "rate_limited",
]);

const MAX_MESSAGE_LENGTH = 300;

const TELLTALES: readonly [string, RegExp][] = [
  ["a stack", /\n\s+at |\.(?:ts|js|mjs):\d+/],
  ["a path", /(?:^|[\s"'(])\/[\w.-]+\/[\w.-]+/],
  ["a URL", /\b(?:https?|file):\/\//],
  ["an address", /\b(?:\d{1,3}\.){3}\d{1,3}\b/],
];

/**
 * What is wrong with an error that a client got from the gateway itself: it must say what happened and not how. `secrets`
 * are texts that must not be in it, such as backend session ids.
 */
export function faultsOfError(error: unknown, secrets: readonly string[] = []): readonly string[] {
  if (!isJsonObject(error)) return ["the error is not an object"];
  const { message, data } = error;
  if (typeof message !== "string" || message === "") return ["the error has no message"];
  const text = JSON.stringify(error);
  const kind = isJsonObject(data) ? data["kind"] : undefined;
  return [
    ...(message.length > MAX_MESSAGE_LENGTH
      ? [`the message has ${message.length} characters`]
      : []),
    ...TELLTALES.filter(([, pattern]) => pattern.test(message)).map(([what]) => `it tells ${what}`),
    ...secrets.filter((secret) => text.includes(secret)).map((secret) => `it tells ${secret}`),
    ...(kind !== undefined && !KINDS.has(kind)
      ? [`its kind ${JSON.stringify(kind)} is not known`]
      : []),
  ];
}
