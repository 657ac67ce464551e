import type { RequestId } from "../mcp/json-rpc.ts";
import type { CallClock } from "./call-clock.ts";
import { answeredId } from "./read-messages.ts";

/** Which calls of one connection stand still until the client has answered which request of the backend. */
export class ClientWaits {
  /** Made with the first wait: there is one of these for every session and backend. */
  #clocks: Map<RequestId, Set<CallClock>> | undefined;

  /** The backend has asked the client; the calls that this may hold up wait along. */
  begin(id: RequestId, clocks: Iterable<CallClock>): void {
    for (const clock of clocks) {
      clock.waitForClient(id);
      if (!clock.awaited.has(id)) continue;
      this.#clocks ??= new Map();
      const waiting = this.#clocks.get(id);
      if (waiting === undefined) this.#clocks.set(id, new Set([clock]));
      else waiting.add(clock);
    }
  }

  /** Looks at a message on its way to the backend: if it answers a request, the clocks run again. */
  sent(message: Buffer): void {
    if (this.#clocks === undefined || this.#clocks.size === 0) return;
    const id = answeredId(message);
    if (id === undefined) return;
    for (const clock of this.#clocks.get(id) ?? []) clock.clientAnswered(id);
    this.#clocks.delete(id);
  }

  /** A call has ended: nothing waits on its behalf any longer. */
  forget(clock: CallClock): void {
    for (const id of clock.awaited) {
      const waiting = this.#clocks?.get(id);
      waiting?.delete(clock);
      if (waiting?.size === 0) this.#clocks?.delete(id);
    }
  }
}
