import { skipWhitespace } from "./json-spans.ts";

/**
 * Where the JSON value ends that begins at `start`, or -1 where none does: the bytes break the grammar of RFC
 * 8259, or nest arrays and objects deeper than `maxDepth` levels.
 *
 * Accepts exactly what `JSON.parse` accepts, of bytes that are known to be UTF-8, and makes nothing of them: for
 * a large value that nobody reads, objects and strings cost many times as much as a look at each byte.
 */
export function validValueEnd(bytes: Buffer, start: number, maxDepth: number): number {
  const strings = new StringScan(bytes);
  /** Of each container that is open: whether it is an object. */
  const open: boolean[] = [];
  let at = start;
  for (;;) {
    const byte = bytes[at];
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (open.length === maxDepth) return NONE;
      const isObject = byte === OPEN_BRACE;
      at = skipWhitespace(bytes, at + 1);
      if (bytes[at] !== closingOf(isObject)) {
        open.push(isObject);
        if (isObject) at = strings.keyEnd(at);
        if (at === NONE) return NONE;
        continue;
      }
      at += 1;
    } else {
      at = byte === QUOTE ? strings.end(at) : scalarEnd(bytes, at);
      if (at === NONE) return NONE;
    }
    at = afterValue(bytes, at, open);
    if (open.length === 0 || at === NONE) return at;
    if (open.at(-1) === true) at = strings.keyEnd(at);
    if (at === NONE) return NONE;
  }
}

/**
 * Closes what is closed behind a value and returns where the next member or element begins; where everything is
 * closed, the end.
 */
function afterValue(bytes: Buffer, valueEnd: number, open: boolean[]): number {
  let at = valueEnd;
  while (open.length > 0) {
    at = skipWhitespace(bytes, at);
    const byte = bytes[at];
    if (byte === COMMA) return skipWhitespace(bytes, at + 1);
    if (byte !== closingOf(open.at(-1) === true)) return NONE;
    open.pop();
    at += 1;
  }
  return at;
}

/** Finds the ends of strings. Where the next quote and the next backslash stand is looked for once, not per string. */
class StringScan {
  readonly #bytes: Buffer;
  #nextQuote = NONE;
  #nextBackslash = NONE;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** From a key's opening quote to where its value begins, or -1. */
  keyEnd(at: number): number {
    if (this.#bytes[at] !== QUOTE) return NONE;
    const end = this.end(at);
    if (end === NONE) return NONE;
    const colon = skipWhitespace(this.#bytes, end);
    return this.#bytes[colon] === COLON ? skipWhitespace(this.#bytes, colon + 1) : NONE;
  }

  /** From an opening quote to just past the closing one, or -1. */
  end(start: number): number {
    const bytes = this.#bytes;
    let at = start + 1;
    for (;;) {
      const loopEnd = Math.min(at + SHORT_STRING_BYTES, bytes.length);
      while (at < loopEnd) {
        const byte = bytes[at] ?? 0;
        if (byte === QUOTE) return at + 1;
        if (byte < FIRST_PRINTABLE) return NONE;
        if (byte === BACKSLASH) {
          at = escapeEnd(bytes, at);
          if (at === NONE) return NONE;
        } else at += 1;
      }
      at = this.#skipPlain(at);
      if (at === NONE) return NONE;
    }
  }

  /** To the next quote or backslash, by the native search; -1 where a control character comes first, or none comes. */
  #skipPlain(at: number): number {
    const bytes = this.#bytes;
    if (this.#nextQuote < at) this.#nextQuote = bytes.indexOf(QUOTE, at);
    if (this.#nextQuote === NONE) return NONE;
    if (this.#nextBackslash < at) {
      const found = bytes.indexOf(BACKSLASH, at);
      this.#nextBackslash = found === NONE ? bytes.length : found;
    }
    const end = Math.min(this.#nextQuote, this.#nextBackslash);
    return hasControl(bytes, at, end) ? NONE : end;
  }
}

/** The index past an escape sequence, or -1. */
function escapeEnd(bytes: Buffer, at: number): number {
  const kind = bytes[at + 1] ?? 0;
  if (kind !== LOWER_U) return SHORT_ESCAPES.has(kind) ? at + 2 : NONE;
  for (let index = at + 2; index < at + 6; index += 1) if (!isHex(bytes[index])) return NONE;
  return at + 6;
}

/** Whether there is a byte below 0x20, four at a time where it pays: there is no native search for a range. */
function hasControl(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  if (end - start >= SHORT_STRING_BYTES) {
    while ((bytes.byteOffset + at) % 4 !== 0) {
      if (isControl(bytes[at])) return true;
      at += 1;
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    if (hasControlInWords(words)) return true;
    at += words.length * 4;
  }
  for (; at < end; at += 1) if (isControl(bytes[at])) return true;
  return false;
}

function hasControlInWords(words: Int32Array): boolean {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? 0;
    // The borrow sets the top bit of a byte that was below 0x20; one that had it set before does not count.
    if (((word - 0x20202020) & ~word & 0x80808080) !== 0) return true;
  }
  return false;
}

/** The index past a number, `true`, `false` or `null`, or -1. */
function scalarEnd(bytes: Buffer, at: number): number {
  const first = bytes[at];
  if (first === LOWER_T) return wordEnd(bytes, at, "true");
  if (first === LOWER_F) return wordEnd(bytes, at, "false");
  if (first === LOWER_N) return wordEnd(bytes, at, "null");
  return numberEnd(bytes, at);
}

function wordEnd(bytes: Buffer, at: number, word: string): number {
  for (let index = 0; index < word.length; index += 1) {
    if (bytes[at + index] !== word.codePointAt(index)) return NONE;
  }
  return at + word.length;
}

function numberEnd(bytes: Buffer, start: number): number {
  const first = bytes[start] === MINUS ? start + 1 : start;
  let at = bytes[first] === ZERO ? first + 1 : digitsEnd(bytes, first);
  if (at === first) return NONE;
  if (bytes[at] === POINT) {
    const fraction = at + 1;
    at = digitsEnd(bytes, fraction);
    if (at === fraction) return NONE;
  }
  if (bytes[at] === LOWER_E || bytes[at] === UPPER_E) {
    const hasSign = bytes[at + 1] === MINUS || bytes[at + 1] === PLUS;
    const exponent = hasSign ? at + 2 : at + 1;
    at = digitsEnd(bytes, exponent);
    if (at === exponent) return NONE;
  }
  return at;
}

function digitsEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (isDigit(bytes[at])) at += 1;
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= LOWER_A && lower <= LOWER_F);
}

function isControl(byte: number | undefined): boolean {
  return byte !== undefined && byte < FIRST_PRINTABLE;
}

function closingOf(isObject: boolean): number {
  return isObject ? CLOSE_BRACE : CLOSE_BRACKET;
}

const NONE = -1;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_A = 0x61;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const LOWER_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const FIRST_PRINTABLE = 0x20;

/** What may stand behind a backslash, `u` apart. */
const SHORT_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));

/** Below this length a loop beats the cost of entering the native search. */
const SHORT_STRING_BYTES = 32;
