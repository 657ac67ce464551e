import { VmcpError } from "../domain/errors.ts";
import { encodeNotification } from "../mcp/json-rpc.ts";
import type { AttachedStream, ClientStream } from "./edge-session.ts";

/** Messages kept for a client that has no stream open; the oldest gives way. */
const MAX_KEPT = 64;

/** What the kept messages may weigh together; one that weighs more is kept alone. */
const MAX_KEPT_BYTES = 1_048_576;

/**
 * What goes to the client outside its own requests.
 *
 * Nothing leaves before the client has sent `notifications/initialized`. While no stream is open a bounded
 * number of messages waits for the next one; `list_changed` waits as one mark per list, however often it
 * changed.
 */
export class Outbox {
  /** Made with the first change: few sessions ever see one. */
  #changedLists: Set<string> | undefined;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #stream: ClientStream | undefined;
  #isInitialized = false;

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  markInitialized(): void {
    this.#isInitialized = true;
    this.#flush();
  }

  /** Notes that a list changed; `method` is the notification to send. */
  listChanged(method: string): void {
    this.#changedLists ??= new Set();
    this.#changedLists.add(method);
    this.#flush();
  }

  send(message: Buffer): void {
    this.#kept.push(message);
    this.#keptBytes += message.length;
    while (this.#kept.length > MAX_KEPT || this.#isTooHeavy()) this.#dropOldest();
    this.#flush();
  }

  attach(stream: ClientStream): AttachedStream {
    if (this.#stream !== undefined) {
      throw new VmcpError(
        "stream_conflict",
        "The session already has a stream open; close it first",
      );
    }
    this.#stream = stream;
    this.#flush();
    return {
      flush: () => this.#flush(),
      [Symbol.dispose]: () => {
        if (this.#stream === stream) this.#stream = undefined;
      },
    };
  }

  close(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#kept.length = 0;
    this.#keptBytes = 0;
    stream?.end();
  }

  #flush(): void {
    if (this.#stream === undefined || !this.#isInitialized) return;
    for (const method of this.#changedLists ?? []) {
      if (!this.#stream.send(encodeNotification(method))) return;
      this.#changedLists?.delete(method);
    }
    let next = this.#kept[0];
    while (next !== undefined && this.#stream?.send(next)) {
      this.#dropOldest();
      next = this.#kept[0];
    }
  }

  #isTooHeavy(): boolean {
    return this.#keptBytes > MAX_KEPT_BYTES && this.#kept.length > 1;
  }

  #dropOldest(): void {
    this.#keptBytes -= this.#kept.shift()?.length ?? 0;
  }
}
