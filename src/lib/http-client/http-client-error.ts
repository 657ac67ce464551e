/** Why a request failed that neither the system nor TLS has a code for. */
export type HttpClientErrorCode =
  | "ERR_CLIENT_CLOSED"
  | "ERR_CONNECTION_CLOSED"
  | "ERR_CONNECT_TIMEOUT"
  | "ERR_INVALID_REQUEST"
  | "ERR_MALFORMED_RESPONSE"
  | "ERR_REQUEST_ABORTED"
  | "ERR_RESPONSE_HEAD_TOO_LARGE";

/** A failure that was found out here; those of sockets and of TLS are passed on as they are. */
export class HttpClientError extends Error {
  override readonly name = "HttpClientError";
  readonly code: HttpClientErrorCode;

  constructor(code: HttpClientErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
