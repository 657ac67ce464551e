const FIRST_CAPACITY_BYTES = 1024;

/** Bytes that arrive in pieces, however small, joined at a cost that stays linear in their number. */
export class GrowingBuffer {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(piece: Buffer): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) this.#grow(needed);
    piece.copy(this.#bytes, this.#length);
    this.#length = needed;
  }

  /** Hands over everything so far and starts anew; what was handed over is never written to again. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return bytes;
  }

  #grow(needed: number): void {
    const capacity = Math.max(needed, this.#bytes.length * 2, FIRST_CAPACITY_BYTES);
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

const EMPTY = Buffer.alloc(0);
