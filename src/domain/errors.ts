import type { JsonObject } from "./json.ts";

/** Whether the backend ran the call that failed. Only `not_executed` may ever be sent again. */
export type ExecutionState = "not_executed" | "unknown" | "executed";

/** The ways in which a backend fails to give an answer; clients read them as `error.data.kind`. */
export type BackendFailureCode =
  | "backend_unreachable"
  | "backend_tls"
  | "backend_closed"
  | "backend_timeout"
  | "backend_protocol"
  | "backend_too_large"
  | "backend_redirect"
  | "backend_http_4xx"
  | "backend_http_5xx"
  | "backend_rate_limited"
  | "backend_auth"
  | "backend_session_lost"
  | "backend_busy";

/** The ways in which the gateway itself ends a call that was under way. */
type GatewayFailureCode =
  | "session_closed"
  | "shutting_down"
  | "client_answer_timeout"
  | "sign_in_required"
  | "store_unavailable";

/** What a client did wrong in the message it sent. */
type ClientFaultCode =
  | "parse_error"
  | "invalid_request"
  | "method_not_found"
  | "invalid_params"
  | "capability_not_found"
  | "session_required"
  | "session_not_found"
  | "forbidden_host"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "not_acceptable"
  | "payload_too_large"
  | "expectation_failed"
  | "path_not_found"
  | "header_mismatch"
  | "incomplete_metadata"
  | "client_capability_missing"
  | "unsupported_revision"
  | "unknown_method"
  | "unauthorized"
  | "insufficient_scope"
  | "policy_denied"
  | "rate_limited"
  | "stream_conflict";

/** What the people who run or embed the gateway meet. */
type OperatorCode =
  | "invalid_config"
  | "invalid_argument"
  | "name_conflict"
  | "unsupported_transport"
  | "auth_unavailable"
  | "too_many_sessions"
  | "overloaded"
  | "start_failed"
  | "session_exists"
  | "session_terminated"
  | "no_backend_connection"
  | "backend_error"
  | "address_in_use"
  | "cancelled"
  | "internal";

export type VmcpErrorCode =
  | BackendFailureCode
  | GatewayFailureCode
  | ClientFaultCode
  | OperatorCode;

/** How the process of a backend ended: one of the two is set. */
export interface ProcessExit {
  readonly code?: number;
  readonly signal?: string;
}

export interface VmcpErrorDetails {
  readonly cause?: unknown;
  /** The configured alias of the backend that failed. */
  readonly backend?: string;
  readonly executionState?: ExecutionState;
  readonly retryAfterSeconds?: number;
  /** Where the end of a backend's process is what failed. */
  readonly exit?: ProcessExit;
  /** What the protocol wants in `error.data` beside the rest: nothing secret. */
  readonly data?: JsonObject;
  /** Why, for the audit record and never for the client, such as the id of a policy: nothing secret. */
  readonly reason?: string;
  /** What a client is told of how to prove itself: the value of `WWW-Authenticate`. */
  readonly challenge?: string;
}

/**
 * The one error class of the project.
 *
 * `message` may reach a client: it names the thing and what would be right, and never holds a secret, a
 * stack, a backend session id or a URL with credentials. What happened below is kept as `cause`, for logs.
 */
export class VmcpError extends Error {
  override readonly name = "VmcpError";
  readonly code: VmcpErrorCode;
  readonly backend: string | undefined;
  readonly executionState: ExecutionState | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly exit: ProcessExit | undefined;
  readonly data: JsonObject | undefined;
  readonly reason: string | undefined;
  readonly challenge: string | undefined;

  constructor(code: VmcpErrorCode, message: string, details: VmcpErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.backend = details.backend;
    this.executionState = details.executionState;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.exit = details.exit;
    this.data = details.data;
    this.reason = details.reason;
    this.challenge = details.challenge;
  }

  /** Keeps a `VmcpError` as it is and wraps anything else as `internal`, whose message no client sees. */
  static from(thrown: unknown): VmcpError {
    if (thrown instanceof VmcpError) return thrown;
    return new VmcpError("internal", messageOf(thrown), { cause: thrown });
  }
}

/** The text of anything thrown, for logs and for messages that wrap it. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
