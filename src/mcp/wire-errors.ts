import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import {
  INTERNAL_ERROR,
  INVALID_PARAMS,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  PARSE_ERROR,
  type JsonRpcError,
} from "./json-rpc.ts";
import {
  HEADER_MISMATCH,
  MISSING_CLIENT_CAPABILITY,
  UNSUPPORTED_REVISION,
} from "./stateless-names.ts";

/** Clients of the sessionful revisions match on this code to open a new session. */
const SESSION_NOT_FOUND = -32_001;

/** The client is to have its user open a link, and to ask again then (2025-11-25, "URL Elicitation Required"). */
const URL_ELICITATION_REQUIRED = -32_042;

/**
 * The JSON-RPC code of every error of ours. `satisfies` makes a new error code a compile error here until
 * its wire code is chosen. Codes of our own lie outside the range that JSON-RPC and MCP reserve.
 */
const WIRE_CODE = {
  parse_error: PARSE_ERROR,
  invalid_request: INVALID_REQUEST,
  method_not_found: METHOD_NOT_FOUND,
  invalid_params: INVALID_PARAMS,
  capability_not_found: INVALID_PARAMS,
  session_required: INVALID_REQUEST,
  session_not_found: SESSION_NOT_FOUND,
  session_terminated: SESSION_NOT_FOUND,
  forbidden_host: INVALID_REQUEST,
  method_not_allowed: INVALID_REQUEST,
  unsupported_media_type: INVALID_REQUEST,
  not_acceptable: INVALID_REQUEST,
  payload_too_large: INVALID_REQUEST,
  expectation_failed: INVALID_REQUEST,
  path_not_found: INVALID_REQUEST,
  stream_conflict: INVALID_REQUEST,
  unauthorized: 401,
  insufficient_scope: 403,
  policy_denied: 403,
  rate_limited: 429,
  header_mismatch: HEADER_MISMATCH,
  incomplete_metadata: INVALID_PARAMS,
  client_capability_missing: MISSING_CLIENT_CAPABILITY,
  unsupported_revision: UNSUPPORTED_REVISION,
  unknown_method: METHOD_NOT_FOUND,
  backend_unreachable: INTERNAL_ERROR,
  backend_tls: INTERNAL_ERROR,
  backend_closed: INTERNAL_ERROR,
  backend_timeout: INTERNAL_ERROR,
  backend_protocol: INTERNAL_ERROR,
  backend_too_large: INTERNAL_ERROR,
  backend_redirect: INTERNAL_ERROR,
  backend_http_4xx: INTERNAL_ERROR,
  backend_http_5xx: INTERNAL_ERROR,
  backend_rate_limited: INTERNAL_ERROR,
  backend_auth: INTERNAL_ERROR,
  sign_in_required: URL_ELICITATION_REQUIRED,
  backend_session_lost: INTERNAL_ERROR,
  backend_busy: INTERNAL_ERROR,
  session_closed: INTERNAL_ERROR,
  client_answer_timeout: INTERNAL_ERROR,
  shutting_down: 503,
  store_unavailable: 503,
  auth_unavailable: 503,
  too_many_sessions: 503,
  overloaded: 503,
  start_failed: 503,
  invalid_config: INTERNAL_ERROR,
  invalid_argument: INVALID_PARAMS,
  name_conflict: INTERNAL_ERROR,
  unsupported_transport: INTERNAL_ERROR,
  session_exists: INTERNAL_ERROR,
  no_backend_connection: INTERNAL_ERROR,
  backend_error: INTERNAL_ERROR,
  address_in_use: INTERNAL_ERROR,
  cancelled: INTERNAL_ERROR,
  internal: INTERNAL_ERROR,
} as const satisfies Record<VmcpErrorCode, number>;

/** Faults of our own making, about which a client learns nothing but that they happened. */
const HIDDEN_CODES: ReadonlySet<VmcpErrorCode> = new Set(["internal", "invalid_config"]);

/** Longest message that reaches a client, in characters. */
const MAX_MESSAGE_LENGTH = 300;

/**
 * Turns anything thrown into what a client may see.
 *
 * A failure that names a backend, ended a call under way or says when to try again carries
 * `data {kind, backend?, executionState?, retryAfterSeconds?, exit?: {code} | {signal}}`.
 */
export function toJsonRpcError(thrown: unknown): JsonRpcError {
  const error = VmcpError.from(thrown);
  if (HIDDEN_CODES.has(error.code)) return { code: INTERNAL_ERROR, message: "Internal error" };
  const code = WIRE_CODE[error.code];
  const message = error.message.slice(0, MAX_MESSAGE_LENGTH);
  const { backend, executionState, retryAfterSeconds, exit } = error;
  const details = {
    ...(backend !== undefined && { backend }),
    ...(executionState !== undefined && { executionState }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(exit !== undefined && { exit: { ...exit } }),
  };
  const data = { ...error.data, ...details };
  if (Object.keys(data).length === 0) return { code, message };
  // What the protocol defines stands alone; what is ours says its kind.
  const kind = Object.keys(details).length === 0 ? {} : { kind: error.code };
  return { code, message, data: { ...kind, ...data } };
}

/** The JSON-RPC code that stands for one of ours; whatever is hidden has that of an internal error. */
export function wireCodeOf(code: VmcpErrorCode): number {
  return WIRE_CODE[code];
}
