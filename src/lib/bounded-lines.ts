import { GrowingBuffer } from "./growing-buffer.ts";

export interface BoundedLinesListener {
  /** One line without its end; never empty. Its bytes are not written to again. */
  readonly line: (line: Buffer) => void;
  /** A line grew over the cap. It is skipped to its end, and the lines after it are read. */
  readonly tooLong: () => void;
}

/**
 * Cuts a stream of bytes into lines that end in LF or CRLF; empty lines vanish.
 *
 * No line may be longer than the cap, and no more than that is ever held. One that is costs only itself.
 */
export class BoundedLines {
  readonly #maxLineBytes: number;
  readonly #listener: BoundedLinesListener;
  readonly #partial = new GrowingBuffer();
  #isSkipping = false;

  constructor(maxLineBytes: number, listener: BoundedLinesListener) {
    this.#maxLineBytes = maxLineBytes;
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let at = 0;
    let end = chunk.indexOf(LINE_FEED);
    while (end !== -1) {
      this.#keep(chunk.subarray(at, end));
      this.#endLine();
      at = end + 1;
      end = chunk.indexOf(LINE_FEED, at);
    }
    this.#keep(chunk.subarray(at));
  }

  /** Gives out what stands after the last line end. */
  end(): void {
    this.#endLine();
  }

  #keep(piece: Buffer): void {
    if (this.#isSkipping || piece.length === 0) return;
    if (this.#partial.length + piece.length <= this.#maxLineBytes) {
      this.#partial.append(piece);
      return;
    }
    this.#isSkipping = true;
    this.#partial.take();
    this.#listener.tooLong();
  }

  #endLine(): void {
    this.#isSkipping = false;
    const line = this.#partial.take();
    const end = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length;
    if (end > 0) this.#listener.line(line.subarray(0, end));
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
