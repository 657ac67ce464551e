import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

const deflate = promisify(deflateRaw);

/** A member of RFC 1952 that was deflated, without name or time, by an unknown system. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/** What the length of a stored block of RFC 1951 can say. */
const MAX_STORED_BYTES = 0xff_ff;
const BLOCK_HEAD_BYTES = 5;
const TRAILER_BYTES = 8;

/**
 * Compresses the beginning that many texts have in common, away from the main thread. Rejects where there is no memory
 * for it. `level` is zlib's, from 1 for fast to 9 for small; default 6.
 */
export async function gzipStem(text: Buffer, level?: number): Promise<GzipStem> {
  // A flush ends on a whole byte and leaves the stream open, so that more blocks can follow.
  const finishFlush = constants.Z_SYNC_FLUSH;
  const blocks = await deflate(text, { finishFlush, ...(level !== undefined && { level }) });
  return new GzipStem(Buffer.concat([HEADER, blocks]), crc32(text), text.length);
}

/** The compressed beginning of gzip texts that differ in their ends. Each text is one member, as some readers want it. */
export class GzipStem {
  /** What every one of the texts begins with. */
  readonly bytes: Buffer;
  readonly #crc: number;
  readonly #textLength: number;

  constructor(bytes: Buffer, crc: number, textLength: number) {
    this.bytes = bytes;
    this.#crc = crc;
    this.#textLength = textLength;
  }

  /** What follows `bytes` so that the whole reads as the common beginning and then `tail`, which is not compressed. */
  end(tail: Buffer): Buffer {
    const blocks = Math.max(1, Math.ceil(tail.length / MAX_STORED_BYTES));
    const ending = Buffer.alloc(blocks * BLOCK_HEAD_BYTES + tail.length + TRAILER_BYTES);
    let at = 0;
    for (let block = 0; block < blocks; block += 1) {
      const part = tail.subarray(block * MAX_STORED_BYTES, (block + 1) * MAX_STORED_BYTES);
      at = ending.writeUInt8(block + 1 === blocks ? 1 : 0, at);
      at = ending.writeUInt16LE(part.length, at);
      at = ending.writeUInt16LE(MAX_STORED_BYTES - part.length, at);
      at += part.copy(ending, at);
    }
    // Of nothing node gives 0, whatever it is to go on from.
    const crc = tail.length === 0 ? this.#crc : crc32(tail, this.#crc);
    at = ending.writeUInt32LE(crc, at);
    // The length is told modulo 2 ** 32.
    ending.writeUInt32LE((this.#textLength + tail.length) >>> 0, at);
    return ending;
  }
}
