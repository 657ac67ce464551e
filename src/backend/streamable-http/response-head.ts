import type { ExecutionState, VmcpError } from "../../domain/errors.ts";
import { backendError } from "../node-errors.ts";

/** A client is told to wait no longer than this, whatever the backend asks for. */
const MAX_RETRY_AFTER_SECONDS = 60;

/** What matters of a response before its body comes. */
export interface ResponseHead {
  readonly status: number;
  /** Lower case, without parameters; "" where there is none or it is no media type. */
  readonly mediaType: string;
  /** As sent, or "" where it is absent or `identity`. */
  readonly contentEncoding: string;
  readonly contentLength: number | undefined;
  readonly sessionId: string | undefined;
  readonly retryAfter: string | undefined;
}

/** Reads the names, in lower case, and values of a response, which come in turn. */
export function readHead(status: number, headers: readonly string[]): ResponseHead {
  let mediaType = "";
  let contentEncoding = "";
  let contentLength: number | undefined;
  let sessionId: string | undefined;
  let retryAfter: string | undefined;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const value = headers[index + 1] ?? "";
    const name = headers[index] ?? "";
    switch (name) {
      case "content-type":
        mediaType = toMediaType(value);
        break;
      case "content-length":
        contentLength = toLength(value);
        break;
      case "mcp-session-id":
        sessionId = value;
        break;
      case "content-encoding":
        contentEncoding = toEncoding(value);
        break;
      case "retry-after":
        retryAfter = value;
        break;
      default:
    }
  }
  return { status, mediaType, contentEncoding, contentLength, sessionId, retryAfter };
}

/**
 * What a status other than 2xx means for the request that got it, when its body is no answer.
 *
 * `hasSession` says whether the request carried a session id: then 404 means that the session is gone.
 */
export function statusError(backend: string, head: ResponseHead, hasSession: boolean): VmcpError {
  const { status } = head;
  const retryAfterSeconds = toRetryAfterSeconds(head.retryAfter);
  const fail = (
    code: VmcpError["code"],
    sentence: string,
    executionState: ExecutionState = "not_executed",
  ): VmcpError =>
    backendError(backend, code, sentence, {
      executionState,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    });

  if (status >= 300 && status < 400) {
    return fail(
      "backend_redirect",
      `answered with a redirect (HTTP ${status}), which is not followed`,
    );
  }
  if (status === 401 || status === 403) {
    return fail("backend_auth", `refused the gateway's credentials (HTTP ${status})`);
  }
  if (status === 404 && hasSession) {
    return sessionLostError(backend, status);
  }
  if (status === 429) return fail("backend_rate_limited", "limits the rate of calls (HTTP 429)");
  if (status >= 500) return fail("backend_http_5xx", `answered with HTTP ${status}`, "unknown");
  if (status >= 400) return fail("backend_http_4xx", `answered with HTTP ${status}`);
  return fail("backend_protocol", `answered with HTTP ${status} and no message`, "unknown");
}

/** The backend has forgotten the session: it refused the request for that, and so never ran it. */
export function sessionLostError(backend: string, status: number): VmcpError {
  const sentence = `no longer knows its session (HTTP ${status})`;
  return backendError(backend, "backend_session_lost", sentence, {
    executionState: "not_executed",
  });
}

export function isEventStream({ mediaType, contentEncoding }: ResponseHead): boolean {
  return mediaType === "text/event-stream" && contentEncoding === "";
}

/** `404 text/html`: what is safe to show of an answer that was not understood. */
export function describeHead({ status, mediaType }: ResponseHead): string {
  return `${status} ${mediaType === "" ? "without a media type" : mediaType}`;
}

/** Seconds or an HTTP date, brought into the range that a client is told; undefined where it is neither. */
function toRetryAfterSeconds(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = /^\d+$/.test(retryAfter)
    ? Number(retryAfter)
    : Math.ceil((Date.parse(retryAfter) - Date.now()) / 1_000);
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_SECONDS);
}

const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,64}\/[a-z0-9!#$&^_.+-]{1,64}$/;

function toMediaType(value: string): string {
  if (value === "application/json" || value === "text/event-stream") return value;
  const mediaType = (value.split(";", 1)[0] ?? "").trim().toLowerCase();
  return MEDIA_TYPE.test(mediaType) ? mediaType : "";
}

function toEncoding(value: string): string {
  const text = value.toLowerCase();
  return text === "identity" ? "" : text;
}

function toLength(value: string): number | undefined {
  const length = Number(value);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}
