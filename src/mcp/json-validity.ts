/**
 * Reads the bytes of one JSON value, in as many pieces as they come in, and finds where it ends, or that it breaks the
 * grammar of RFC 8259 or nests arrays and objects deeper than `maxDepth` levels.
 *
 * Accepts exactly what `JSON.parse` accepts, of bytes that are known to be UTF-8, and makes nothing of them: for
 * a large value that nobody reads, objects and strings cost many times as much as a look at each byte.
 */
export class ValueValidator {
  readonly #maxDepth: number;
  /** Of each container that is open: whether it is an object. */
  readonly #open: boolean[] = [];
  #place = VALUE;
  /** Whether the string that is being read is a key. */
  #isKey = false;
  /** What has to come of a word, or how many digits of an escaped character. */
  #rest = "";
  #missingDigits = 0;

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
      else {
        this.#take(bytes[at] ?? 0);
        at += 1;
      }
    }
    return at;
  }

  #take(byte: number): void {
    switch (this.#place) {
      case WORD:
        this.#takeOfWord(byte);
        break;
      case ESCAPE:
        this.#takeEscape(byte);
        break;
      case ESCAPED_DIGITS:
        this.#takeEscapedDigit(byte);
        break;
      default:
        if (!isWhitespace(byte)) this.#begin(byte);
    }
  }

  /** The first byte of a token. */
  #begin(byte: number): void {
    switch (this.#place) {
      case FIRST_ELEMENT:
        if (byte === CLOSE_BRACKET) this.#close();
        else this.#beginValue(byte);
        break;
      case FIRST_KEY:
        if (byte === CLOSE_BRACE) this.#close();
        else this.#beginKey(byte);
        break;
      case KEY:
        this.#beginKey(byte);
        break;
      case COLON_OF_KEY:
        this.#place = byte === COLON ? VALUE : BROKEN;
        break;
      case AFTER_VALUE:
        this.#takeAfterValue(byte);
        break;
      default:
        this.#beginValue(byte);
    }
  }

  #beginKey(byte: number): void {
    this.#isKey = true;
    this.#place = byte === QUOTE ? STRING : BROKEN;
  }

  #beginValue(byte: number): void {
    if (byte === QUOTE) {
      this.#isKey = false;
      this.#place = STRING;
    } else if (byte === OPEN_BRACE) this.#enter(true);
    else if (byte === OPEN_BRACKET) this.#enter(false);
    else if (byte === MINUS_SIGN) this.#place = MINUS;
    else if (byte === ZERO) this.#place = LEADING_ZERO;
    else if (isDigit(byte)) this.#place = INTEGER;
    else this.#beginWord(byte);
  }

  #beginWord(byte: number): void {
    this.#place = WORD;
    if (byte === LOWER_T) this.#rest = "rue";
    else if (byte === LOWER_F) this.#rest = "alse";
    else if (byte === LOWER_N) this.#rest = "ull";
    else this.#place = BROKEN;
  }

  #takeOfWord(byte: number): void {
    if (byte !== this.#rest.codePointAt(0)) this.#place = BROKEN;
    else if (this.#rest.length > 1) this.#rest = this.#rest.slice(1);
    else this.#endValue();
  }

  #takeAfterValue(byte: number): void {
    const isObject = this.#open.at(-1) === true;
    if (byte === COMMA) this.#place = isObject ? KEY : VALUE;
    else if (byte === (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) this.#close();
    else this.#place = BROKEN;
  }

  #enter(isObject: boolean): void {
    if (this.#open.length === this.#maxDepth) {
      this.#place = BROKEN;
      return;
    }
    this.#open.push(isObject);
    this.#place = isObject ? FIRST_KEY : FIRST_ELEMENT;
  }

  #close(): void {
    this.#open.pop();
    this.#endValue();
  }

  #endValue(): void {
    this.#place = this.#open.length === 0 ? ENDED : AFTER_VALUE;
  }

  #readString(bytes: Buffer, start: number, marks: Marks): number {
    let at = start;
    for (;;) {
      const shortEnd = Math.min(at + SHORT_STRING_BYTES, bytes.length);
      while (at < shortEnd) {
        const byte = bytes[at] ?? 0;
        if (byte === QUOTE) {
          if (this.#isKey) this.#place = COLON_OF_KEY;
          else this.#endValue();
          return at + 1;
        }
        if (byte === BACKSLASH) {
          this.#place = ESCAPE;
          return at + 1;
        }
        if (byte < FIRST_PRINTABLE) {
          this.#place = BROKEN;
          return at;
        }
        at += 1;
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

  #takeEscape(kind: number): void {
    if (kind === LOWER_U) {
      this.#place = ESCAPED_DIGITS;
      this.#missingDigits = 4;
    } else this.#place = SHORT_ESCAPES.has(kind) ? STRING : BROKEN;
  }

  #takeEscapedDigit(byte: number): void {
    this.#missingDigits -= 1;
    if (!isHex(byte)) this.#place = BROKEN;
    else if (this.#missingDigits === 0) this.#place = STRING;
  }

  #readNumber(bytes: Buffer, start: number): number {
    let at = start;
    for (; at < bytes.length; at += 1) {
      const next = afterInNumber(this.#place, bytes[at] ?? 0);
      if (next === ENDED) {
        this.#endValue();
        return at;
      }
      this.#place = next;
      if (next === BROKEN) return at;
    }
    return at;
  }
}

/** Where a number is after its next byte; `ENDED` where the byte is no part of it any more. */
function afterInNumber(place: number, byte: number): number {
  const digit = isDigit(byte);
  switch (place) {
    case MINUS:
      if (byte === ZERO) return LEADING_ZERO;
      return digit ? INTEGER : BROKEN;
    case LEADING_ZERO:
    case INTEGER:
      if (digit) return place === INTEGER ? INTEGER : BROKEN;
      if (byte === POINT) return AFTER_POINT;
      return isExponentMark(byte) ? AFTER_MARK : ENDED;
    case AFTER_POINT:
      return digit ? FRACTION : BROKEN;
    case FRACTION:
      if (digit) return FRACTION;
      return isExponentMark(byte) ? AFTER_MARK : ENDED;
    case AFTER_MARK:
      if (byte === PLUS_SIGN || byte === MINUS_SIGN) return AFTER_SIGN;
      return digit ? EXPONENT : BROKEN;
    case AFTER_SIGN:
      return digit ? EXPONENT : BROKEN;
    default:
      return digit ? EXPONENT : ENDED;
  }
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

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isExponentMark(byte: number): boolean {
  return byte === LOWER_E || byte === UPPER_E;
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
const WORD = 6;
const STRING = 7;
const ESCAPE = 8;
const ESCAPED_DIGITS = 9;
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
