import { blankLineBreaks } from "../../mcp/sse.ts";

/**
 * Events of one stream that leave together, in one piece, and where each of them stands in it, so that any of
 * them can be sent again. The oldest can be dropped one by one; the memory goes with the last.
 */
export class EventBatch {
  /** What stood before the first event and belongs to none, and all events. */
  readonly bytes: Buffer;
  /** Where each event ends in the bytes. */
  readonly #ends: readonly number[];
  #firstNumber: number;
  #start: number;
  #dropped = 0;

  /** One event per message, numbered from `firstNumber` on. `prefix` is ASCII. */
  constructor(
    streamId: string,
    firstNumber: number,
    messages: readonly Buffer[],
    prefix: string = "",
  ) {
    const heads = messages.map(
      (_message, index) => `id: ${streamId}-${firstNumber + index}\ndata: `,
    );
    let length = prefix.length + messages.length * EVENT_END.length;
    for (const head of heads) length += head.length;
    for (const message of messages) length += message.length;
    this.bytes = Buffer.allocUnsafe(length);
    this.#ends = this.#write(prefix, heads, messages);
    this.#firstNumber = firstNumber;
    this.#start = prefix.length;
  }

  get firstNumber(): number {
    return this.#firstNumber;
  }

  get lastNumber(): number {
    return this.#firstNumber + this.count - 1;
  }

  /** Events that were not dropped. */
  get count(): number {
    return this.#ends.length - this.#dropped;
  }

  /** What they weigh. */
  get keptBytes(): number {
    return this.bytes.length - this.#start;
  }

  dropFirst(): void {
    this.#start = this.#ends[this.#dropped] ?? this.#start;
    this.#dropped += 1;
    this.#firstNumber += 1;
  }

  /** The events after that number, as they were sent; empty where there is none. */
  after(number: number): Buffer {
    const passed = number - this.#firstNumber;
    const start = passed < 0 ? this.#start : this.#ends[this.#dropped + passed];
    return this.bytes.subarray(start ?? this.bytes.length);
  }

  #write(prefix: string, heads: readonly string[], messages: readonly Buffer[]): readonly number[] {
    const { bytes } = this;
    let at = bytes.write(prefix, "latin1");
    return messages.map((message, index) => {
      at += bytes.write(heads[index] ?? "", at, "latin1");
      const dataStart = at;
      at += message.copy(bytes, at);
      blankLineBreaks(bytes.subarray(dataStart, at));
      at += bytes.write(EVENT_END, at, "latin1");
      return at;
    });
  }
}

const EVENT_END = "\n\n";
