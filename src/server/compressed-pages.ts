import { gzipStem, type GzipStem } from "../lib/gzip-stem.ts";

/** What stands before the page, and nothing of whom it is for. */
const HEAD = Buffer.from('{"jsonrpc":"2.0","result":');

/**
 * Compressing takes as long as some twenty answers. A page that only one user is shown is asked for once or twice,
 * and then replaced.
 */
const WORTH_AFTER_QUESTIONS = 4;

/** A tenth larger than by default, in a quarter of the time. */
const LEVEL = 3;

interface Compressed {
  questions: number;
  stem: GzipStem | undefined;
}

const pages = new WeakMap<Buffer, Compressed>();

/**
 * The beginning of every gzip answer with this page of a list: all of the message but its id, and of the result but
 * what may be added at its end. Compressed once, in the background, when it was asked for a few times; undefined until
 * then. It lasts as long as the page does, and is shared by all who are shown that.
 *
 * Nothing but lists may be compressed. The length of compressed bytes tells of secrets in them to whoever can put
 * guesses beside those (the BREACH attack). A list holds nothing of a request, and its id is not compressed.
 */
export function compressedPage(page: Buffer): GzipStem | undefined {
  const compressed = pages.get(page) ?? { questions: 0, stem: undefined };
  if (compressed.questions === 0) pages.set(page, compressed);
  compressed.questions += 1;
  if (compressed.questions === WORTH_AFTER_QUESTIONS) void compress(page, compressed);
  return compressed.stem;
}

async function compress(page: Buffer, compressed: Compressed): Promise<void> {
  try {
    // The brace that closes the result comes with what may be added to it.
    const text = Buffer.concat([HEAD, page.subarray(0, -1)]);
    compressed.stem = await gzipStem(text, LEVEL);
  } catch {
    // Without memory for it the page goes out as it is.
  }
}
