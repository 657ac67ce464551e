/**
 * Reads the bytes of one JSON value, in as many pieces as they come in, and finds where it ends, or that it breaks the
 * grammar of RFC 8259 or nests arrays and objects deeper than `maxDepth` levels.
 *
 * Accepts exactly what `JSON.parse` accepts, of bytes that are known to be UTF-8, and makes nothing of them: for
 * a large value that nobody reads, objects and strings cost many times as much as a look at each byte.
 */
export class ValueValidator {
  readonly #maxDepth: number;
  /** Of each container around the one that is being read: whether it is an object. */
  readonly #outer: boolean[] = [];
  #depth = 0;
  /** Of the container that is being read. */
  #isObject = false;
  #place = VALUE;
  /** Whether the string that is being read is a key. */
  #isKey = false;
  /** The word that is being read. */
  #word = "";
  /** How much of the word has come, or of the digits of an escaped character. */
  #count = 0;

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** Once the value has ended. A number outside of a container ends only where something follows it. */
  get isWhole(): boolean {
    return this.#place === ENDED;
  }

  /** Whether what was read is the beginning of no value. */
  get isBroken(): boolean {
    return this.#place === BROKEN;
  }

  /** Reads on, from `start` of this piece. Returns where it stopped: the end of the value, or that of the piece. */
  read(bytes: Buffer, start = 0): number {
    const marks = new Marks(bytes);
    let at = start;
    while (at < bytes.length) {
      const place = this.#place;
      if (place === STRING) at = this.#readString(bytes, at, marks);
      else if (place >= ENDED) return at;
      else if (place >= MINUS) at = this.#readNumber(bytes, at);
      else if (place === WORD) at = this.#readWord(bytes, at);
      else {
        const byte = bytes[at] ?? 0;
        at += 1;
        if (place >= ESCAPE) this.#place = this.#afterPart(place, byte);
        else if (byte > SPACE || !isWhitespace(byte)) this.#place = this.#after(place, byte);
      }
    }
    return at;
  }

  /** Where it is after the first byte of a token, none of which is whitespace. */
  #after(place: number, byte: number): number {
    switch (place) {
      case COLON_OF_KEY:
        return byte === COLON ? VALUE : BROKEN;
      case AFTER_VALUE:
        if (byte === COMMA) return this.#isObject ? KEY : VALUE;
        return byte === (this.#isObject ? CLOSE_BRACE : CLOSE_BRACKET) ? this.#close() : BROKEN;
      case KEY:
      case FIRST_KEY:
        this.#isKey = true;
        if (byte === QUOTE) return STRING;
        return place === FIRST_KEY && byte === CLOSE_BRACE ? this.#close() : BROKEN;
      default:
        if (place === FIRST_ELEMENT && byte === CLOSE_BRACKET) return this.#close();
        return this.#beginValue(byte);
    }
  }

  #beginValue(byte: number): number {
    switch (byte) {
      case QUOTE:
        this.#isKey = false;
        return STRING;
      case OPEN_BRACE:
        return this.#enter(true);
      case OPEN_BRACKET:
        return this.#enter(false);
      case MINUS_SIGN:
        return MINUS;
      case ZERO:
        return LEADING_ZERO;
      case LOWER_T:
        return this.#beginWord("true");
      case LOWER_F:
        return this.#beginWord("false");
      case LOWER_N:
        return this.#beginWord("null");
      default:
        return isDigit(byte) ? INTEGER : BROKEN;
    }
  }

  #enter(isObject: boolean): number {
    if (this.#depth === this.#maxDepth) return BROKEN;
    this.#outer.push(this.#isObject);
    this.#depth += 1;
    this.#isObject = isObject;
    return isObject ? FIRST_KEY : FIRST_ELEMENT;
  }

  #close(): number {
    this.#isObject = this.#outer.pop() === true;
    this.#depth -= 1;
    return this.#afterValue();
  }

  #afterValue(): number {
    return this.#depth === 0 ? ENDED : AFTER_VALUE;
  }

  /** Where it is after a byte inside of an escape. */
  #afterPart(place: number, byte: number): number {
    if (place === ESCAPE) {
      if (byte !== LOWER_U) return isShortEscape(byte) ? STRING : BROKEN;
      this.#count = 0;
      return ESCAPED_DIGITS;
    }
    if (!isHex(byte)) return BROKEN;
    this.#count += 1;
    return this.#count === ESCAPED_LENGTH ? STRING : ESCAPED_DIGITS;
  }

  #beginWord(word: string): number {
    this.#word = word;
    this.#count = 1;
    return WORD;
  }

  #readWord(bytes: Buffer, start: number): number {
    const word = this.#word;
    let at = start;
    for (; this.#count < word.length; this.#count += 1) {
      if (at === bytes.length) return at;
      if (bytes[at] !== word.codePointAt(this.#count)) {
        this.#place = BROKEN;
        return at;
      }
      at += 1;
    }
    return this.#passValue(bytes, at);
  }

  /** Behind a string. */
  #passSeparator(bytes: Buffer, at: number): number {
    if (!this.#isKey) return this.#passValue(bytes, at);
    const hasColon = bytes[at] === COLON;
    this.#place = hasColon ? VALUE : COLON_OF_KEY;
    return hasColon ? at + 1 : at;
  }

  /** Behind a value, and behind the comma and the quote that mostly follow it: three steps in one. */
  #passValue(bytes: Buffer, at: number): number {
    this.#place = this.#afterValue();
    if (this.#place === ENDED || bytes[at] !== COMMA) return at;
    this.#place = this.#isObject ? KEY : VALUE;
    if (!this.#isObject || bytes[at + 1] !== QUOTE) return at + 1;
    this.#isKey = true;
    this.#place = STRING;
    return at + 2;
  }

  #readString(bytes: Buffer, start: number, marks: Marks): number {
    let at = start;
    for (;;) {
      const shortEnd = Math.min(at + SHORT_STRING_BYTES, bytes.length);
      while (at < shortEnd) {
        const byte = bytes[at] ?? 0;
        if (byte === QUOTE) return this.#passSeparator(bytes, at + 1);
        if (byte < FIRST_PRINTABLE) {
          this.#place = BROKEN;
          return at;
        }
        if (byte !== BACKSLASH) at += 1;
        else if (isShortEscape(bytes[at + 1] ?? 0)) at += 2;
        else {
          this.#place = ESCAPE;
          return at + 1;
        }
      }
      if (at === bytes.length) return at;
      const plainEnd = marks.next(at);
      if (hasControl(bytes, at, plainEnd)) {
        this.#place = BROKEN;
        return at;
      }
      at = plainEnd;
    }
  }

  #readNumber(bytes: Buffer, start: number): number {
    let place = this.#place;
    let at = start;
    for (;;) {
      if (place === INTEGER || place === FRACTION || place === EXPONENT) {
        while (isDigit(bytes[at])) at += 1;
      }
      if (at === bytes.length) break;
      place = afterInNumber(place, bytes[at] ?? 0);
      if (place === ENDED) return this.#passValue(bytes, at);
      if (place === BROKEN) break;
      at += 1;
    }
    this.#place = place;
    return at;
  }
}

/** Where a number is after a byte that is no further digit of it; `ENDED` where it is no part of it any more. */
function afterInNumber(place: number, byte: number): number {
  switch (place) {
    case MINUS:
      if (byte === ZERO) return LEADING_ZERO;
      return isDigit(byte) ? INTEGER : BROKEN;
    case LEADING_ZERO:
      if (isDigit(byte)) return BROKEN;
      return byte === POINT ? AFTER_POINT : afterDigits(byte);
    case INTEGER:
      return byte === POINT ? AFTER_POINT : afterDigits(byte);
    case FRACTION:
      return afterDigits(byte);
    case AFTER_POINT:
      return isDigit(byte) ? FRACTION : BROKEN;
    case AFTER_MARK:
      if (byte === PLUS_SIGN || byte === MINUS_SIGN) return AFTER_SIGN;
      return isDigit(byte) ? EXPONENT : BROKEN;
    case AFTER_SIGN:
      return isDigit(byte) ? EXPONENT : BROKEN;
    default:
      return ENDED;
  }
}

function afterDigits(byte: number): number {
  return byte === LOWER_E || byte === UPPER_E ? AFTER_MARK : ENDED;
}

/** Where the next quote or backslash stands in a piece, which is looked for once and not for each string. */
class Marks {
  readonly #bytes: Buffer;
  #nextQuote = -1;
  #nextBackslash = -1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The first of them from `at` on, or the length. */
  next(at: number): number {
    if (this.#nextQuote < at) this.#nextQuote = this.#find(QUOTE, at);
    if (this.#nextBackslash < at) this.#nextBackslash = this.#find(BACKSLASH, at);
    return Math.min(this.#nextQuote, this.#nextBackslash);
  }

  #find(byte: number, at: number): number {
    const found = this.#bytes.indexOf(byte, at);
    return found === -1 ? this.#bytes.length : found;
  }
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

function isWhitespace(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** Whether it may stand behind a backslash, `u` apart. */
function isShortEscape(byte: number): boolean {
  switch (byte) {
    case QUOTE:
    case BACKSLASH:
    case SLASH:
    case LOWER_B:
    case LOWER_F:
    case LOWER_N:
    case LOWER_R:
    case LOWER_T:
      return true;
    default:
      return false;
  }
}

function isHex(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= LOWER_A && lower <= LOWER_F);
}

function isControl(byte: number | undefined): boolean {
  return byte !== undefined && byte < FIRST_PRINTABLE;
}

// Where the reading is: numbers, because each byte that is not in a string asks. First what a token begins in.
const VALUE = 0;
const FIRST_ELEMENT = 1;
const FIRST_KEY = 2;
const KEY = 3;
const COLON_OF_KEY = 4;
const AFTER_VALUE = 5;
const ESCAPE = 6;
const ESCAPED_DIGITS = 7;
const STRING = 8;
const WORD = 9;
// From here on the places of a number, each named for what was read last of it.
const MINUS = 10;
const LEADING_ZERO = 11;
const INTEGER = 12;
const AFTER_POINT = 13;
const FRACTION = 14;
const AFTER_MARK = 15;
const AFTER_SIGN = 16;
const EXPONENT = 17;
// And the two at which nothing more is read.
const ENDED = 18;
const BROKEN = 19;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS_SIGN = 0x2b;
const COMMA = 0x2c;
const MINUS_SIGN = 0x2d;
const POINT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_A = 0x61;
const LOWER_B = 0x62;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_R = 0x72;
const LOWER_T = 0x74;
const LOWER_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const FIRST_PRINTABLE = 0x20;

/** The digits behind `\u`. */
const ESCAPED_LENGTH = 4;

/** Below this length a loop beats the cost of entering the native search. */
const SHORT_STRING_BYTES = 32;
