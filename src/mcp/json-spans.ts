import { VmcpError } from "../domain/errors.ts";

/** Where a value stands in the bytes that were scanned; the end is exclusive. */
export interface ValueSpan {
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** One member of an object. `keyStart` is the index of the key's opening quote; `key` is decoded. */
export interface Member extends ValueSpan {
  readonly key: string;
  readonly keyStart: number;
}

/** Bytes `start` to `end` (exclusive) give way to `replacement`; equal bounds insert. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  /** A string is written as UTF-8. */
  readonly replacement: Buffer | string;
}

/**
 * Finds the members of the object whose `{` stands at `start`, in order and with duplicates.
 *
 * Meant for bytes that `JSON.parse` has accepted: it locates, it does not validate. On other bytes it ends
 * in linear time with some answer or with `parse_error`. Nested values are skipped without recursion.
 */
export function scanMembers(bytes: Buffer, start: number): readonly Member[] {
  const members: Member[] = [];
  let at = skipWhitespace(bytes, expectByte(bytes, start, OPEN_BRACE));
  if (bytes[at] === CLOSE_BRACE) return members;
  for (;;) {
    const keyEnd = skipString(bytes, at);
    const afterColon = expectByte(bytes, skipWhitespace(bytes, keyEnd), COLON);
    const valueStart = skipWhitespace(bytes, afterColon);
    const valueEnd = skipValue(bytes, valueStart);
    members.push({ key: decodeString(bytes, at, keyEnd), keyStart: at, valueStart, valueEnd });

    at = skipWhitespace(bytes, valueEnd);
    if (bytes[at] === CLOSE_BRACE) return members;
    at = skipWhitespace(bytes, expectByte(bytes, at, COMMA));
  }
}

/**
 * Where the value of the first member of that name begins in the object whose `{` stands at `start`; undefined
 * where there is none. Looks no further than that, and is as lenient as `scanMembers`.
 */
export function firstMember(bytes: Buffer, start: number, name: string): number | undefined {
  let at = skipWhitespace(bytes, expectByte(bytes, start, OPEN_BRACE));
  if (bytes[at] === CLOSE_BRACE) return undefined;
  for (;;) {
    const keyEnd = skipString(bytes, at);
    const key = decodeString(bytes, at, keyEnd);
    const afterColon = expectByte(bytes, skipWhitespace(bytes, keyEnd), COLON);
    const valueStart = skipWhitespace(bytes, afterColon);
    if (key === name) return valueStart;

    at = skipWhitespace(bytes, skipValue(bytes, valueStart));
    if (bytes[at] === CLOSE_BRACE) return undefined;
    at = skipWhitespace(bytes, expectByte(bytes, at, COMMA));
  }
}

/** Finds the elements of the array whose `[` stands at `start`, in order. As lenient as `scanMembers`. */
export function scanElements(bytes: Buffer, start: number): readonly ValueSpan[] {
  const elements: ValueSpan[] = [];
  let at = skipWhitespace(bytes, expectByte(bytes, start, OPEN_BRACKET));
  if (bytes[at] === CLOSE_BRACKET) return elements;
  for (;;) {
    const valueEnd = skipValue(bytes, at);
    elements.push({ valueStart: at, valueEnd });

    at = skipWhitespace(bytes, valueEnd);
    if (bytes[at] === CLOSE_BRACKET) return elements;
    at = skipWhitespace(bytes, expectByte(bytes, at, COMMA));
  }
}

/** The index just past the value that begins at `at`. Throws `parse_error` where no value ends. */
export function skipValue(bytes: Buffer, at: number): number {
  const first = bytes[at];
  if (first === QUOTE) return skipString(bytes, at);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipContainer(bytes, at);
  return skipScalar(bytes, at);
}

/** The index of the first byte from `at` on that is not JSON whitespace, or the length. */
export function skipWhitespace(bytes: Buffer, at: number): number {
  let index = at;
  while (index < bytes.length && isWhitespace(bytes[index])) index += 1;
  return index;
}

/** Whether arrays and objects are nested deeper than `limit` levels. A scalar has depth 0, `[]` has depth 1. */
export function exceedsDepth(bytes: Buffer, limit: number): boolean {
  let depth = 0;
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth > limit) return true;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
    }
    at += 1;
  }
  return false;
}

/** The first key that repeats an earlier one after decoding, so that `"a"` and `"\u0061"` are the same. */
export function findDuplicateKey(members: readonly Member[]): string | undefined {
  const seen = new Set<string>();
  for (const { key } of members) {
    if (seen.has(key)) return key;
    seen.add(key);
  }
  return undefined;
}

/**
 * A copy of the bytes with every edit applied, made in one allocation.
 *
 * All indexes are those of the original. Edits may come in any order; insertions at one place keep theirs.
 * Overlapping edits and edits outside the bytes are a mistake of the caller and throw `internal`.
 */
export function spliceBytes(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const ordered = edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
  const result = Buffer.allocUnsafe(lengthAfter(bytes, ordered));
  let read = 0;
  let write = 0;
  for (const { start, end, replacement } of ordered) {
    write += bytes.copy(result, write, read, start);
    write +=
      typeof replacement === "string"
        ? result.write(replacement, write, "utf8")
        : replacement.copy(result, write);
    read = end;
  }
  bytes.copy(result, write, read);
  return result;
}

/**
 * As `spliceBytes` with one edit, whose bounds are known to be within the bytes. For short bytes a loop beats views
 * and native copies.
 */
export function replaceBytes(
  bytes: Buffer,
  start: number,
  end: number,
  replacement: string,
): Buffer {
  const added = Buffer.byteLength(replacement);
  const result = Buffer.allocUnsafe(bytes.length - (end - start) + added);
  copyRange(bytes, 0, start, result, 0);
  result.write(replacement, start);
  copyRange(bytes, end, bytes.length, result, start + added);
  return result;
}

function copyRange(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  targetStart: number,
): void {
  if (end - start > SHORT_COPY_BYTES) {
    source.copy(target, targetStart, start, end);
    return;
  }
  const shift = targetStart - start;
  for (let index = start; index < end; index += 1) target[index + shift] = source[index] ?? 0;
}

const SHORT_COPY_BYTES = 128;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const NO_KEYS: readonly string[] = [];

/** The keys of nearly every message, by their length. */
const USUAL_KEYS: readonly (readonly string[])[] = [
  "id",
  "uri",
  "name",
  "_meta",
  "error",
  "method",
  "params",
  "result",
  "jsonrpc",
  "arguments",
].reduce<string[][]>((byLength, key) => {
  (byLength[key.length] ??= []).push(key);
  return byLength;
}, []);

/** Below this length a loop beats the cost of entering the native search; keys are mostly shorter. */
const SHORT_STRING_BYTES = 32;

function lengthAfter(bytes: Buffer, ordered: readonly Edit[]): number {
  let length = bytes.length;
  let previousEnd = 0;
  for (const { start, end, replacement } of ordered) {
    if (start < previousEnd || end < start || end > bytes.length) {
      throw new VmcpError("internal", `edit ${start}-${end} overlaps another or leaves the bytes`);
    }
    length += Buffer.byteLength(replacement) - (end - start);
    previousEnd = end;
  }
  return length;
}

/** From an opening quote to just past the closing one. A long string costs one native search, not a loop. */
function skipString(bytes: Buffer, start: number): number {
  let at = expectByte(bytes, start, QUOTE);
  for (;;) {
    const loopEnd = Math.min(at + SHORT_STRING_BYTES, bytes.length);
    while (at < loopEnd) {
      const byte = bytes[at];
      if (byte === QUOTE) return at + 1;
      at += byte === BACKSLASH ? 2 : 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    if (quote === -1) throw unexpectedEnd();
    if (!isEscaped(bytes, quote)) return quote + 1;
    at = quote + 1;
  }
}

/** An odd run of backslashes before the quote escapes it. The opening quote ends the run at the latest. */
function isEscaped(bytes: Buffer, quote: number): boolean {
  let runStart = quote;
  while (bytes[runStart - 1] === BACKSLASH) runStart -= 1;
  return (quote - runStart) % 2 === 1;
}

function skipContainer(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    at += 1;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw unexpectedEnd();
}

function skipScalar(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && isScalarByte(bytes[at])) at += 1;
  if (at === start) throw unexpectedByte(bytes, start);
  return at;
}

/** Digits, letters, sign and point: all that numbers, `true`, `false` and `null` consist of. */
function isScalarByte(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    byte > 0x20 &&
    byte !== QUOTE &&
    byte !== COMMA &&
    byte !== COLON &&
    byte !== OPEN_BRACKET &&
    byte !== CLOSE_BRACKET &&
    byte !== OPEN_BRACE &&
    byte !== CLOSE_BRACE
  );
}

function isWhitespace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function decodeString(bytes: Buffer, start: number, end: number): string {
  const known = usualKey(bytes, start + 1, end - 1);
  if (known !== undefined) return known;
  const text = bytes.toString("utf8", start + 1, end - 1);
  if (!text.includes("\\")) return text;
  try {
    return String(JSON.parse(`"${text}"`));
  } catch (cause) {
    throw new VmcpError("parse_error", `the string at byte ${start} is not valid JSON`, { cause });
  }
}

/** Comparing a few bytes costs a tenth of what it costs to have a new string made of them. */
function usualKey(bytes: Buffer, start: number, end: number): string | undefined {
  for (const key of USUAL_KEYS[end - start] ?? NO_KEYS) if (stands(bytes, start, key)) return key;
  return undefined;
}

function stands(bytes: Buffer, start: number, ascii: string): boolean {
  for (let index = 0; index < ascii.length; index += 1) {
    // oxlint-disable-next-line unicorn/prefer-code-point
    if (bytes[start + index] !== ascii.charCodeAt(index)) return false;
  }
  return true;
}

/** The index after `at`, where `expected` must stand. */
function expectByte(bytes: Buffer, at: number, expected: number): number {
  if (bytes[at] !== expected) throw unexpectedByte(bytes, at);
  return at + 1;
}

function unexpectedByte(bytes: Buffer, at: number): VmcpError {
  if (at >= bytes.length) return unexpectedEnd();
  return new VmcpError("parse_error", `the text is not valid JSON at byte ${at}`);
}

function unexpectedEnd(): VmcpError {
  return new VmcpError("parse_error", "the text is not valid JSON: it ends too early");
}
