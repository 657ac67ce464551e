/** One request over HTTP/1.1. What frames it (`host`, `connection`, `content-length`) is not among its headers. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** With the query, as `URL` gives them. */
  readonly path: string;
  /** What the `host` header says. Default: the host of the origin. */
  readonly host?: string | undefined;
  /** Names in lower case and values in turn. */
  readonly headers: readonly string[];
  /** In pieces where it is long and joining them would be a copy of it. */
  readonly body?: Buffer | readonly Buffer[] | undefined;
}

/** What can be done with a request that has left. Once it has ended, nothing: its connection may serve another one. */
export interface RequestControl {
  /** Breaks the request off together with its connection; the handler hears of the error before this returns. */
  abort(error?: Error): void;
  /** Goes on with a body that the handler paused. */
  resume(): void;
}

/**
 * Who hears of the answer: `onConnect`, `onHeaders`, `onData` any number of times, `onComplete`. In place of what has not
 * come yet, `onError` comes once. What it throws breaks the connection and comes back as `onError`, which must not throw.
 */
export interface ResponseHandler {
  /** Comes right before the first byte leaves. Thrown from here, an error drops the request: nothing of it is sent. */
  onConnect(control: RequestControl): void;
  /** Names in lower case and values in turn. Interim answers (1xx) are passed over. */
  onHeaders(status: number, headers: readonly string[]): void;
  /** Part of the body, which is the handler's to keep; false pauses it. What was read by then may still come. */
  onData(chunk: Buffer): boolean;
  onComplete(): void;
  onError(error: Error): void;
}

/** What sends a request and hands on what comes back. */
export interface RequestSender {
  /** Never throws: what is wrong with the request comes as `onError`, later. */
  dispatch(request: HttpRequest, handler: ResponseHandler): void;
}
