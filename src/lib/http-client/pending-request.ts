import { HttpClientError, toError } from "./http-client-error.ts";
import type { HttpRequest, RequestControl, ResponseHandler } from "./request-sender.ts";

/** What a request can ask of the connection that it was sent on. */
export interface Carrier {
  /** Closes the connection; nothing more comes of the request. */
  drop(): void;
  resume(): void;
}

/** One request from when it was asked for until its handler has heard the last of it. */
export class PendingRequest implements RequestControl {
  readonly request: HttpRequest;
  readonly handler: ResponseHandler;
  #carrier: Carrier | undefined;
  #isOver = false;

  constructor(request: HttpRequest, handler: ResponseHandler) {
    this.request = request;
    this.handler = handler;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It is about to leave. Throws what its handler throws. */
  leaveBy(carrier: Carrier): void {
    this.#carrier = carrier;
    this.handler.onConnect(this);
  }

  complete(): void {
    this.#isOver = true;
    this.#carrier = undefined;
    try {
      this.handler.onComplete();
    } catch (thrown) {
      this.handler.onError(toError(thrown));
    }
  }

  fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#carrier = undefined;
    this.handler.onError(error);
  }

  abort(error?: Error): void {
    const carrier = this.#carrier;
    if (this.#isOver || carrier === undefined) return;
    this.#carrier = undefined;
    carrier.drop();
    this.fail(error ?? new HttpClientError("ERR_REQUEST_ABORTED", "the request was broken off"));
  }

  resume(): void {
    this.#carrier?.resume();
  }
}
