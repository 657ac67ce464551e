import { isUtf8 } from "node:buffer";

/** The bytes of a message, in one piece or, where joining them is dear, in those in which they came. */
export type MessageBytes = Buffer | readonly Buffer[];

/** The bytes in one piece; a copy where they are in several. */
export function joined(bytes: MessageBytes): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  const [first] = bytes;
  return first !== undefined && bytes.length === 1 ? first : Buffer.concat(bytes);
}

/** Whether the pieces together are UTF-8: a character may begin in one and end in the next. */
export function areUtf8(pieces: readonly Buffer[]): boolean {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return isUtf8(first);
  let begun: Buffer = NOTHING;
  for (const piece of pieces) {
    let start = 0;
    if (begun.length > 0) {
      start = characterLength(begun[0] ?? 0) - begun.length;
      begun = Buffer.concat([begun, piece.subarray(0, start)]);
      if (piece.length < start) continue;
      if (!isUtf8(begun)) return false;
    }
    const end = startOfLast(piece, start);
    if (!isUtf8(piece.subarray(start, end))) return false;
    begun = piece.subarray(end);
  }
  return begun.length === 0;
}

/** Where the character begins that the piece does not hold to its end; the length where there is none. */
function startOfLast(piece: Buffer, from: number): number {
  const first = Math.max(from, piece.length - MAX_CHARACTER_BYTES + 1);
  for (let at = piece.length - 1; at >= first; at -= 1) {
    const byte = piece[at] ?? 0;
    if (byte < CONTINUATION_END && byte >= CONTINUATION_START) continue;
    return at + characterLength(byte) > piece.length ? at : piece.length;
  }
  return piece.length;
}

/** As the first byte tells (RFC 3629, section 3). */
function characterLength(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : MAX_CHARACTER_BYTES;
}

const MAX_CHARACTER_BYTES = 4;
const CONTINUATION_START = 0x80;
const CONTINUATION_END = 0xc0;
const NOTHING = Buffer.alloc(0);
