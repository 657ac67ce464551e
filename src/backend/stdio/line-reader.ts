import { GrowingBuffer } from "../../lib/growing-buffer.ts";

/**
 * Cuts a stream of bytes into lines without their line ends; empty lines vanish.
 *
 * A line over the cap makes `push` return false: the stream is then beyond reading.
 */
export class LineReader {
  readonly #maxLineBytes: number;
  readonly #onLine: (line: Buffer) => void;
  readonly #partial = new GrowingBuffer();

  constructor(maxLineBytes: number, onLine: (line: Buffer) => void) {
    this.#maxLineBytes = maxLineBytes;
    this.#onLine = onLine;
  }

  push(chunk: Buffer): boolean {
    let at = 0;
    let end = chunk.indexOf(LINE_FEED);
    while (end !== -1) {
      if (this.#partial.length + end - at > this.#maxLineBytes) return false;
      this.#emit(chunk.subarray(at, end));
      at = end + 1;
      end = chunk.indexOf(LINE_FEED, at);
    }
    const rest = chunk.subarray(at);
    if (this.#partial.length + rest.length > this.#maxLineBytes) return false;
    if (rest.length > 0) this.#partial.append(rest);
    return true;
  }

  /** Gives out what stands after the last line end. */
  end(): void {
    this.#emit(NOTHING);
  }

  #emit(tail: Buffer): void {
    let line = tail;
    if (this.#partial.length > 0) {
      this.#partial.append(tail);
      line = this.#partial.take();
    }
    if (line[line.length - 1] === CARRIAGE_RETURN) line = line.subarray(0, -1);
    if (line.length > 0) this.#onLine(line);
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = Buffer.alloc(0);
