import type { ServerResponse } from "node:http";
import { PassingMap } from "../lib/passing-map.ts";

const HEARTBEAT = Buffer.from(": keep-alive\n\n");

/** Every event stream that is open towards a client. Comments on idle ones keep middleboxes from closing them. */
export class OpenStreams implements Disposable {
  readonly #intervalMs: number;
  readonly #streams = new PassingMap<number, ServerResponse>();
  #count = 0;
  /** Streams that end now do so because the gateway stops. */
  isStopping = false;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Takes a stream until it closes. */
  add(stream: ServerResponse): void {
    this.#heartbeat ??= this.#startBeating();
    this.#count += 1;
    const number = this.#count;
    this.#streams.set(number, stream);
    stream.on("close", () => this.#streams.delete(number));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#heartbeat);
  }

  /** Apart from `add`, whose first stream the timer would keep for as long as it runs. */
  #startBeating(): NodeJS.Timeout {
    return setInterval(() => this.#beat(), this.#intervalMs).unref();
  }

  #beat(): void {
    for (const stream of this.#streams.values()) {
      // One that ends must not be written to any more, and one whose reader is behind is not idle.
      if (!stream.writableEnded && stream.writableLength === 0) stream.write(HEARTBEAT);
    }
  }
}
