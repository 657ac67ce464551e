import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import { discardBody } from "./body.ts";
import type { FailureLimiter } from "./failure-limiter.ts";
import { closeGently } from "./linger.ts";
import { writeLoneAnswer } from "./lone-answer.ts";

/**
 * The HTTP status of everything that can be refused or fail. What was understood and answered in the terms
 * of MCP is 200, because clients read the body and not the status. `satisfies` makes a new error code a
 * compile error here until its status is chosen.
 */
const HTTP_STATUS = {
  parse_error: 400,
  invalid_request: 400,
  session_required: 400,
  forbidden_host: 403,
  unauthorized: 401,
  insufficient_scope: 403,
  policy_denied: 403,
  rate_limited: 429,
  path_not_found: 404,
  session_not_found: 404,
  session_terminated: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  stream_conflict: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  expectation_failed: 417,
  header_mismatch: 400,
  incomplete_metadata: 400,
  client_capability_missing: 400,
  unsupported_revision: 400,
  unknown_method: 404,
  internal: 500,
  invalid_config: 500,
  overloaded: 503,
  shutting_down: 503,
  store_unavailable: 503,
  auth_unavailable: 503,
  too_many_sessions: 503,
  start_failed: 503,
  method_not_found: 200,
  invalid_params: 200,
  capability_not_found: 200,
  backend_unreachable: 200,
  backend_tls: 200,
  backend_closed: 200,
  backend_timeout: 200,
  backend_protocol: 200,
  backend_too_large: 200,
  backend_redirect: 200,
  backend_http_4xx: 200,
  backend_http_5xx: 200,
  backend_rate_limited: 200,
  backend_auth: 200,
  sign_in_required: 200,
  backend_session_lost: 200,
  backend_busy: 200,
  backend_error: 200,
  session_closed: 200,
  client_answer_timeout: 200,
  invalid_argument: 200,
  name_conflict: 200,
  unsupported_transport: 200,
  session_exists: 200,
  no_backend_connection: 200,
  address_in_use: 200,
  cancelled: 200,
} as const satisfies Record<VmcpErrorCode, number>;

/** Refusals after which nothing more is read from the connection. */
const CLOSING_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "payload_too_large",
  "expectation_failed",
]);

/** Answers that are all headers: clients act on the status alone. */
const BODILESS_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "expectation_failed",
  "method_not_allowed",
  "path_not_found",
  "unauthorized",
]);

/** What a client is told to wait where an error that passes by itself does not say how long it takes. */
const DEFAULT_RETRY_AFTER_SECONDS = 5;

/** The HTTP status that an answer with this error has. */
export function httpStatusOf(code: VmcpErrorCode): number {
  return HTTP_STATUS[code];
}

/** Whether an answer with this error is all headers. */
export function isBodiless(code: VmcpErrorCode): boolean {
  return BODILESS_CODES.has(code);
}

export interface RefusalOptions {
  readonly logger: Logger;
  /** The longest body that is read to its end for the sake of the connection. */
  readonly maxRequestBytes: number;
  readonly idJson?: string | undefined;
  /** Counts what looks like guessing, and says what to answer instead when it is too much. */
  readonly failures?: Pick<FailureLimiter, "judge"> | undefined;
}

/**
 * Refuses a request of which the body may still be on its way. What broken bytes in it deserve comes before what
 * the headers deserve, and a connection that is not left in step is closed. Never rejects.
 */
export async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  { logger, maxRequestBytes, idJson, failures }: RefusalOptions,
): Promise<void> {
  const caught = VmcpError.from(thrown);
  const error = failures?.judge(request, caught) ?? caught;
  const isInStep = !CLOSING_CODES.has(error.code) && (await discardBody(request, maxRequestBytes));
  if (!isInStep) {
    response.shouldKeepAlive = false;
    closeGently(request, response, maxRequestBytes);
  }
  writeError(response, error, logger, idJson);
}

/** Ends a response with what the answer contract says for this error. Does nothing if the head has left. */
export function writeError(
  response: ServerResponse,
  thrown: unknown,
  logger: Logger,
  idJson?: string,
): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  const error = VmcpError.from(thrown);
  const status = HTTP_STATUS[error.code];
  if (CLOSING_CODES.has(error.code)) response.shouldKeepAlive = false;
  if (status === 503 || status === 429) {
    const retryAfterSeconds = error.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS;
    response.setHeader("retry-after", String(retryAfterSeconds));
  }
  if (error.challenge !== undefined) response.setHeader("www-authenticate", error.challenge);
  if (isBodiless(error.code)) {
    response.writeHead(status, { "content-length": 0 }).end();
    return;
  }
  const body =
    status === 500
      ? internalError(error, logger, idJson)
      : encodeError(idJson, toJsonRpcError(error));
  if (status === 200) {
    writeLoneAnswer(response, body);
    return;
  }
  response
    .writeHead(status, { "content-type": "application/json", "content-length": body.length })
    .end(body);
}

/** The client learns a number to ask about; the log gets everything, once. */
function internalError(error: VmcpError, logger: Logger, idJson: string | undefined): Buffer {
  const correlationId = randomUUID();
  const cause = error.cause instanceof Error ? error.cause : error;
  logger.error("internal error", { correlationId, reason: cause.stack ?? cause.message });
  return encodeError(idJson, { ...toJsonRpcError(error), data: { correlationId } });
}
