import { blankLineBreaks, hasLineBreak } from "../../mcp/sse.ts";

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
    // What stands between two messages is written at once: each write costs as much as a message of some bytes.
    let before = prefix;
    const heads = messages.map((_message, index) => {
      const head = `${before}id: ${streamId}-${firstNumber + index}\ndata: `;
      before = EVENT_END;
      return head;
    });
    const tail = messages.length === 0 ? prefix : EVENT_END;
    let length = tail.length;
    for (const head of heads) length += head.length;
    for (const message of messages) length += message.length;
    this.bytes = Buffer.allocUnsafe(length);
    this.#ends = this.#write(heads, messages, tail);
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

  dropAll(): void {
    this.#firstNumber += this.count;
    this.#start = this.bytes.length;
    this.#dropped = this.#ends.length;
  }

  /** The events after that number, as they were sent; empty where there is none. */
  after(number: number): Buffer {
    const passed = number - this.#firstNumber;
    const start = passed < 0 ? this.#start : this.#ends[this.#dropped + passed];
    return this.bytes.subarray(start ?? this.bytes.length);
  }

  #write(heads: readonly string[], messages: readonly Buffer[], tail: string): readonly number[] {
    const { bytes } = this;
    let at = 0;
    const ends = messages.map((message, index) => {
      at += bytes.write(heads[index] ?? "", at, "latin1");
      const start = at;
      at += message.copy(bytes, at);
      if (hasLineBreak(message)) blankLineBreaks(bytes.subarray(start, at));
      return at + EVENT_END.length;
    });
    bytes.write(tail, at, "latin1");
    return ends;
  }
}

const EVENT_END = "\n\n";
