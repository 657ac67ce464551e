import { crc32, gunzipSync } from "node:zlib";

const TRAILER_BYTES = 8;
const BLOCK_HEAD_BYTES = 5;
/** The longest tail that is looked for. */
const MAX_TAIL_BYTES = 1_000;

/**
 * The list that every client must get. The first one is read; from then on a list that comes as it is must be the same but
 * for its id.
 *
 * Of compressed ones the first is read too and compared with it. Where it ends in a stored block that holds the id, the next
 * ones are checked by their bytes: equal but for that block, which says the right id, and the sum over all. Reading them all
 * would cost the generator several times what they cost the gateway.
 */
export class KnownList {
  #result;
  #tail;
  #compressed;

  checkText(text, id) {
    if (this.#tail === undefined) this.#learn(text);
    else if (!text.endsWith(this.#tail) || !text.includes(`"id":${id},`))
      throw new Error(`another list: ${text.slice(0, 200)}`);
  }

  /** After the first `checkText`. */
  checkGzip(gzip, id) {
    if (this.#compressed?.isList(gzip, id)) return;
    const text = gunzipSync(gzip);
    const message = JSON.parse(text);
    if (message.id !== id || JSON.stringify(message.result) !== this.#result)
      throw new Error(`another list, compressed: ${text.toString("utf8", 0, 200)}`);
    this.#compressed = compressedListOf(gzip, text, id);
  }

  #learn(text) {
    const { result } = JSON.parse(text);
    if (!(result?.tools?.length > 0)) throw new Error(`no list: ${text.slice(0, 200)}`);
    this.#result = JSON.stringify(result);
    this.#tail = text.slice(text.indexOf('"result":'));
  }
}

/** Undefined where nothing can be told from the bytes. */
function compressedListOf(gzip, text, id) {
  const tailBytes = storedTailOf(gzip, text);
  const end = `"id":${id}}`;
  if (tailBytes === undefined || tailBytes < end.length || !text.toString().endsWith(end))
    return undefined;
  const head = text.subarray(0, -tailBytes);
  const constant = text.subarray(head.length, -end.length);
  const common = gzip.subarray(0, -(tailBytes + TRAILER_BYTES + BLOCK_HEAD_BYTES));
  const sum = crc32(head);
  return {
    isList(other, otherId) {
      const tail = Buffer.concat([constant, Buffer.from(`"id":${otherId}}`)]);
      const ending = endingOf(tail, crc32(tail, sum), head.length + tail.length);
      return (
        other.length === common.length + ending.length &&
        other.subarray(0, common.length).equals(common) &&
        other.subarray(common.length).equals(ending)
      );
    },
  };
}

/** How many bytes at the end of the text stand in a stored block of their own. */
function storedTailOf(gzip, text) {
  const sum = crc32(text);
  for (let bytes = 1; bytes < Math.min(MAX_TAIL_BYTES, text.length); bytes += 1) {
    const ending = endingOf(text.subarray(-bytes), sum, text.length);
    if (gzip.subarray(-ending.length).equals(ending)) return bytes;
  }
  return undefined;
}

/** A last block that holds the tail as it is, and what ends the member (RFC 1951, 3.2.4; RFC 1952, 2.3.1). */
function endingOf(tail, sum, length) {
  const ending = Buffer.alloc(BLOCK_HEAD_BYTES + tail.length + TRAILER_BYTES);
  ending.writeUInt8(1, 0);
  ending.writeUInt16LE(tail.length, 1);
  ending.writeUInt16LE(0xff_ff - tail.length, 3);
  tail.copy(ending, BLOCK_HEAD_BYTES);
  ending.writeUInt32LE(sum, BLOCK_HEAD_BYTES + tail.length);
  ending.writeUInt32LE(length, BLOCK_HEAD_BYTES + tail.length + 4);
  return ending;
}
