import type { VmcpErrorCode } from "../../src/domain/errors.ts";
import { wireCodeOf } from "../../src/mcp/wire-errors.ts";
import { httpStatusOf, isBodiless } from "../../src/server/http-errors.ts";

interface Group {
  readonly title: string;
  readonly intro: string;
  readonly codes: Readonly<Partial<Record<VmcpErrorCode, string>>>;
}

const CLIENT_FAULTS = {
  parse_error: "The body is not JSON, or not UTF-8.",
  invalid_request:
    "The body is no JSON-RPC message, has a key twice, is nested too deep or names an id that cannot be used; or a header is wrong.",
  method_not_found: "No backend of the session has this method.",
  invalid_params: "The params lack something, or have it in another shape.",
  capability_not_found: "No tool, prompt, resource or task of this name is to be seen.",
  session_required: "The `Mcp-Session-Id` header is missing.",
  session_not_found: "The session is unknown, has ended, or belongs to somebody else.",
  forbidden_host: "The `Host` or `Origin` header names what is not served here.",
  method_not_allowed: "The path has no such HTTP method; `Allow` lists those it has.",
  unsupported_media_type: "The body is no JSON in UTF-8, or it is encoded.",
  not_acceptable: "The `Accept` header leaves out what the answer may be.",
  payload_too_large: "The body is larger than `limits.requestBytes`. The connection closes.",
  expectation_failed:
    "`Expect` asks for something other than `100-continue`. The connection closes.",
  path_not_found: "There is nothing at this path.",
  stream_conflict: "The session has a stream open already.",
  unauthorized:
    "The client does not prove who it is, or not in a way that is accepted. `WWW-Authenticate` says how.",
  insufficient_scope:
    "The client's proof lacks a scope that this needs. `WWW-Authenticate` names all that are needed.",
  policy_denied:
    "A policy does not let this client use what it asked for, or not with these arguments (`incomingAuth.authz`).",
  rate_limited:
    "A bucket of `rateLimiting` is empty. `Retry-After` and `data.retryAfterSeconds` say when it has a token again.",
  header_mismatch:
    "A header of a stateless request is missing, malformed, or says something else than its body.",
  incomplete_metadata:
    "A stateless request lacks a required member of `_meta`, or it has another shape.",
  client_capability_missing:
    "What is asked for needs a capability that the request did not declare; `data.requiredCapabilities` names it.",
  unsupported_revision:
    "The request names a revision that is not spoken here; `data.supported` lists those that are.",
  unknown_method: "A stateless request asks for a method that nobody here has.",
} as const;

const BACKEND_FAILURES = {
  backend_unreachable:
    "Its name cannot be resolved, no connection can be made, or it failed so often that it is left alone for now.",
  backend_tls: "Its certificate or the TLS handshake fails.",
  backend_closed: "The connection or the child process ended before the answer.",
  backend_timeout: "No answer came in time; the backend was told that nobody waits any more.",
  backend_protocol: "What it answered is no answer to the request.",
  backend_too_large: "Its answer, event or line is larger than the limit.",
  backend_redirect: "It answered with a redirect, which is not followed.",
  backend_http_4xx: "It answered with a status from 400 to 499 and no message.",
  backend_http_5xx: "It answered with a status from 500 on and no message.",
  backend_rate_limited: "It limits the rate of calls.",
  backend_auth: "It refuses our credentials, or none could be had.",
  backend_session_lost: "It no longer knows its session, even after a new one was opened once.",
  backend_busy: "All of its call slots are taken.",
} as const;

const GATEWAY_FAILURES = {
  session_closed: "The session ended while the call was under way.",
  shutting_down: "The gateway is shutting down; a call under way took longer than it waits.",
  client_answer_timeout: "The client did not answer what the backend asked it during the call.",
  sign_in_required:
    "The user has to sign in to a backend first; `data.elicitations` holds the link to open.",
  store_unavailable: "The session store is out of reach, or the audit log cannot be written.",
  auth_unavailable:
    "Whoever issues the proofs of clients does not answer, so that none can be checked.",
  too_many_sessions:
    "There are as many sessions as `operational.sessions.maxSessions` allows, or one client has `maxSessionsPerIdentity`.",
  overloaded:
    "The session or the gateway has as many calls in flight as it may, or the heap is nearly full.",
  start_failed: "The session could not be started as `failureHandling.partialFailureMode` demands.",
  session_terminated: "The session ended while it was being made.",
  internal: "A fault in the gateway; `data.correlationId` is in its log.",
} as const;

const OPERATOR_ERRORS = {
  invalid_config: "The configuration is wrong; the message names the key and what would be right.",
  invalid_argument: "A function was called with something that it does not take.",
  name_conflict: "Two capabilities would have one name.",
  unsupported_transport: "A backend's transport is not one of those that exist.",
  session_exists: "A session was to be made under an id that has one.",
  no_backend_connection: "The session has no connection to this backend.",
  backend_error: "The backend answered a call made by code with a JSON-RPC error.",
  address_in_use: "The port is taken by another program.",
  cancelled: "Whoever asked gave up.",
} as const;

/** A new error code does not compile until it stands in one of these. */
const EVERY_CODE = {
  ...CLIENT_FAULTS,
  ...BACKEND_FAILURES,
  ...GATEWAY_FAILURES,
  ...OPERATOR_ERRORS,
} as const satisfies Record<VmcpErrorCode, string>;

const GROUPS: readonly Group[] = [
  {
    title: "What a client did wrong",
    intro: "Nothing was sent to a backend.",
    codes: CLIENT_FAULTS,
  },
  {
    title: "What a backend failed to do",
    intro:
      "`error.data` is `{kind, backend, executionState, retryAfterSeconds?, exit?}`. `exit` is how the process of a backend ended, `{code}` or `{signal}`. `executionState` says whether the call ran: `not_executed` may be sent again, `unknown` only if it does no harm twice.",
    codes: BACKEND_FAILURES,
  },
  {
    title: "What the gateway could not do",
    intro: "With 503 comes `Retry-After`, in seconds.",
    codes: GATEWAY_FAILURES,
  },
  {
    title: "What those who run or embed the gateway meet",
    intro:
      "As `VmcpError.code`, or as a sentence of the command line. Where a client meets one, the columns say how.",
    codes: OPERATOR_ERRORS,
  },
];

/** The page about errors, from the codes and from what the edge makes of them. */
export function renderErrors(): string {
  return [
    "# Errors",
    "",
    "Every error has a code. This page lists them all, with the HTTP status and the JSON-RPC code that a client sees.",
    "It is generated from the source (`UPDATE_DOCS=1 npx vitest run test/architecture/errors-doc.test.ts`).",
    "",
    "A tool's own failure (`isError: true`) is a result and not an error: it passes through untouched. An error that",
    "a backend answers in JSON-RPC passes through as well.",
    ...GROUPS.flatMap(renderGroup),
    "",
  ].join("\n");
}

/** Every code there is. */
export function everyCode(): readonly string[] {
  return Object.keys(EVERY_CODE);
}

function renderGroup({ title, intro, codes }: Group): readonly string[] {
  const rows = Object.entries(codes).map(([code, when]) =>
    // The keys of the groups are codes.
    renderRow(code as VmcpErrorCode, when),
  );
  return [
    "",
    `## ${title}`,
    "",
    intro,
    "",
    "| code | HTTP | JSON-RPC | `error.data.kind` | when |",
    "|---|---|---|---|---|",
    ...rows,
  ];
}

function renderRow(code: VmcpErrorCode, when: string): string {
  const kind = TOLD_KINDS.has(code) ? `\`${code}\`` : "";
  const body = isBodiless(code) ? "no body" : String(wireCodeOf(code)).replace("-", "−");
  return `| \`${code}\` | ${httpStatusOf(code)} | ${body} | ${kind} | ${when} |`;
}

/** Those that come with `data`: what a backend failed to do, what ended a call, and what passes by itself. */
const TOLD_KINDS: ReadonlySet<string> = new Set([
  ...Object.keys(BACKEND_FAILURES),
  "policy_denied",
  "rate_limited",
  "session_closed",
  "shutting_down",
  "client_answer_timeout",
  "auth_unavailable",
  "too_many_sessions",
  "overloaded",
  "start_failed",
]);
