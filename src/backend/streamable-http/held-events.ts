import type { SseEvent } from "../../mcp/sse.ts";

const NONE: readonly SseEvent[] = [];

/** Takes events one by one; false leaves this one and those after it for later. */
export interface EventTaker {
  takeEvent(event: SseEvent): boolean;
}

/** Events that have come on a stream and wait for a reader that has asked for a pause. */
export class HeldEvents {
  #events: readonly SseEvent[] = NONE;
  #isDraining = false;

  add(events: readonly SseEvent[]): void {
    this.#events = this.#events.length === 0 ? events : [...this.#events, ...events];
  }

  clear(): void {
    this.#events = NONE;
  }

  /** Hands on what has come as far as it is taken. Harmless from within `takeEvent`. */
  drain(taker: EventTaker): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    let taken = 0;
    for (const event of this.#events) {
      if (!taker.takeEvent(event)) break;
      taken += 1;
    }
    this.#events = taken === this.#events.length ? NONE : this.#events.slice(taken);
    this.#isDraining = false;
  }
}
