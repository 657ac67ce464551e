import type { SseEvent } from "../../mcp/sse.ts";
import type { BackendTimeouts } from "../options.ts";

/** An id that is sent back in a header must be one that HTTP can carry. */
const SENDABLE_ID = /^[\x20-\x7e]{1,1024}$/;

/** Where a broken stream of events is to be taken up again, and after how long. */
export class StreamPosition {
  readonly #bounds: Pick<BackendTimeouts, "retryMinMs" | "retryMaxMs">;
  #lastEventId: string | undefined;
  #requestedRetryMs = 0;
  #failures = 0;

  constructor(bounds: Pick<BackendTimeouts, "retryMinMs" | "retryMaxMs">) {
    this.#bounds = bounds;
  }

  /** Undefined where the backend numbers no events, or where its last number cannot be sent back. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  passed({ id, data, retry }: SseEvent): void {
    if (id !== undefined) this.#lastEventId = SENDABLE_ID.test(id) ? id : undefined;
    if (retry !== undefined) this.#requestedRetryMs = retry;
    if (data.length > 0) this.#failures = 0;
  }

  /**
   * How long to wait now that the stream is gone; growing steps, or what the backend asked for.
   *
   * A backend that ends its streams may say when to come back; one that cannot be had (`wasStream` false) is
   * left alone longer.
   */
  nextDelayMs(wasStream: boolean): number {
    const { retryMinMs, retryMaxMs } = this.#bounds;
    const stepMs = retryMinMs * 2 ** Math.min(this.#failures, 10);
    this.#failures += 1;
    const requestedMs = this.#requestedRetryMs;
    const delayMs = wasStream && requestedMs > 0 ? requestedMs : Math.max(requestedMs, stepMs);
    return Math.min(Math.max(delayMs, retryMinMs), retryMaxMs);
  }
}
