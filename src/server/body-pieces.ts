import { LARGE_BYTES } from "../mcp/large-arguments.ts";
import type { MessageBytes } from "../mcp/message-bytes.ts";

/** A chunk of at least so many bytes is kept as it came: below that, what it takes to keep one counts. */
const LONG_CHUNK_BYTES = 4_096;
const BLOCK_BYTES = 16_384;

/**
 * Keeps the chunks of a body until all have come. Short ones are copied together: a client may send each byte as a chunk
 * of its own, and keeping one takes a hundred bytes.
 */
export class BodyPieces {
  readonly #pieces: Buffer[] = [];
  #sizeBytes = 0;
  /** Where short chunks go, and what of it is no piece yet. */
  #block = NOTHING;
  #start = 0;
  #end = 0;

  constructor(first: Buffer) {
    this.add(first);
  }

  add(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    if (chunk.length >= LONG_CHUNK_BYTES) {
      this.#endPiece();
      this.#pieces.push(chunk);
      return;
    }
    if (this.#block.length - this.#end < chunk.length) {
      this.#endPiece();
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#start = 0;
      this.#end = 0;
    }
    chunk.copy(this.#block, this.#end);
    this.#end += chunk.length;
  }

  /** All that was added: in one piece, unless it is so much that a copy of it is dear. */
  take(): MessageBytes {
    this.#endPiece();
    const pieces = this.#pieces;
    if (pieces.length === 1) return pieces[0] ?? NOTHING;
    return this.#sizeBytes < LARGE_BYTES ? Buffer.concat(pieces, this.#sizeBytes) : pieces;
  }

  #endPiece(): void {
    if (this.#start === this.#end) return;
    this.#pieces.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}

const NOTHING = Buffer.alloc(0);
