import { VmcpError } from "../domain/errors.ts";
import { GrowingBuffer } from "../lib/growing-buffer.ts";

/** One event of a stream. `data` is empty for an event that only names an id or a `retry` time. */
export interface SseEvent {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  /** The data lines joined by LF. May share memory with the chunk that carried it. */
  readonly data: Buffer;
  /** Milliseconds, as the sender wants them; not clamped. */
  readonly retry?: number | undefined;
}

/**
 * Reads `text/event-stream` from chunks that may be cut anywhere, bytes of one character included.
 *
 * Lines end in LF, CR or CRLF. Comments vanish, an id with NUL is ignored and so is a `retry` that is not a
 * number. An event that has data, an id or a `retry` is given out at its blank line; one that the stream's
 * end cuts off never is.
 */
export class SseParser {
  readonly #maxEventBytes: number;
  readonly #partialLine = new GrowingBuffer();
  #eventBytes = 0;
  #isFirstLine = true;
  #skipLineFeed = false;
  #data: Buffer | undefined;
  /** The lines after the first one; a JSON text has but one as a rule. */
  #moreData: Buffer[] | undefined;
  #id: string | undefined;
  #event: string | undefined;
  #retry: number | undefined;

  constructor(options: { readonly maxEventBytes: number }) {
    this.#maxEventBytes = options.maxEventBytes;
  }

  /** The events that this chunk completes. Throws `backend_too_large` when one grows over its cap. */
  push(chunk: Buffer): readonly SseEvent[] {
    const events: SseEvent[] = [];
    let at = 0;
    if (this.#skipLineFeed && chunk.length > 0) {
      this.#skipLineFeed = false;
      if (chunk[0] === LINE_FEED) at = 1;
    }
    // Carriage returns are rare: looked for once per chunk, not once per line.
    let carriageReturn = chunk.indexOf(CARRIAGE_RETURN, at);
    while (at < chunk.length) {
      const lineFeed = chunk.indexOf(LINE_FEED, at);
      const endsInReturn = carriageReturn !== -1 && (lineFeed === -1 || carriageReturn < lineFeed);
      const end = endsInReturn ? carriageReturn : lineFeed;
      if (end === -1) break;
      this.#endLine(chunk, at, end, events);
      at = end + 1;
      if (endsInReturn) {
        if (at === chunk.length) this.#skipLineFeed = true;
        else if (chunk[at] === LINE_FEED) at += 1;
        carriageReturn = chunk.indexOf(CARRIAGE_RETURN, at);
      }
    }
    if (at < chunk.length) this.#keepPartial(chunk.subarray(at));
    return events;
  }

  #keepPartial(rest: Buffer): void {
    this.#checkSize(this.#partialLine.length + rest.length);
    this.#partialLine.append(rest);
  }

  #endLine(chunk: Buffer, start: number, end: number, events: SseEvent[]): void {
    if (this.#partialLine.length === 0) {
      this.#line(chunk, start, end, events);
      return;
    }
    this.#keepPartial(chunk.subarray(start, end));
    const line = this.#partialLine.take();
    this.#line(line, 0, line.length, events);
  }

  #line(bytes: Buffer, lineStart: number, end: number, events: SseEvent[]): void {
    let start = lineStart;
    if (this.#isFirstLine) {
      this.#isFirstLine = false;
      if (bytes.subarray(start, start + 3).equals(BYTE_ORDER_MARK)) start += 3;
    }
    if (start === end) {
      this.#endEvent(events);
    } else if (bytes[start] !== COLON) {
      // Comments are not counted: a stream may send them for ever to keep itself alive.
      this.#eventBytes += end - start;
      this.#checkSize(0);
      this.#field(bytes, start, end);
    }
  }

  #field(bytes: Buffer, start: number, end: number): void {
    const colon = bytes.indexOf(COLON, start);
    const nameEnd = colon === -1 || colon > end ? end : colon;
    let valueStart = Math.min(nameEnd + 1, end);
    if (valueStart < end && bytes[valueStart] === SPACE) valueStart += 1;
    if (stands(bytes, start, nameEnd, "data")) {
      const line = bytes.subarray(valueStart, end);
      if (this.#data === undefined) this.#data = line;
      else (this.#moreData ??= []).push(line);
    } else if (stands(bytes, start, nameEnd, "id")) {
      this.#readId(bytes.toString("utf8", valueStart, end));
    } else if (stands(bytes, start, nameEnd, "event")) {
      const isMessage = stands(bytes, valueStart, end, "message");
      this.#event = isMessage ? "message" : bytes.toString("utf8", valueStart, end);
    } else if (stands(bytes, start, nameEnd, "retry")) {
      this.#readRetry(bytes.toString("latin1", valueStart, end));
    }
  }

  #readId(id: string): void {
    if (!id.includes("\0")) this.#id = id;
  }

  #readRetry(digits: string): void {
    if (DIGITS.test(digits)) this.#retry = Number(digits);
  }

  #endEvent(events: SseEvent[]): void {
    if (this.#data !== undefined || this.#id !== undefined || this.#retry !== undefined) {
      const data = joinLines(this.#data ?? EMPTY, this.#moreData);
      events.push({ id: this.#id, event: this.#event, data, retry: this.#retry });
    }
    this.#data = undefined;
    this.#moreData = undefined;
    this.#id = undefined;
    this.#event = undefined;
    this.#retry = undefined;
    this.#eventBytes = 0;
  }

  #checkSize(partialBytes: number): void {
    if (this.#eventBytes + partialBytes <= this.#maxEventBytes) return;
    throw new VmcpError(
      "backend_too_large",
      `An event of the stream is larger than ${this.#maxEventBytes} bytes`,
    );
  }
}

/**
 * The bytes of one event around a JSON text. Line breaks in `data` become spaces, as which they mean the same
 * in JSON; `id` and `event` lose theirs, so that neither can forge another field.
 */
export function formatSseEvent(event: {
  readonly id?: string;
  readonly event?: string;
  readonly data: Buffer;
}): Buffer {
  const id = event.id === undefined ? "" : `id: ${oneLine(event.id)}\n`;
  const name = event.event === undefined ? "" : `event: ${oneLine(event.event)}\n`;
  const head = `${id}${name}data: `;
  const headBytes = Buffer.byteLength(head);
  const bytes = Buffer.allocUnsafe(headBytes + event.data.length + 2);
  bytes.write(head, 0);
  event.data.copy(bytes, headBytes);
  blankLineBreaks(bytes.subarray(headBytes, headBytes + event.data.length));
  bytes.write("\n\n", headBytes + event.data.length);
  return bytes;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const DIGITS = /^\d+$/;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const NEW_LINE = Buffer.from("\n");
const EMPTY = Buffer.alloc(0);

function joinLines(first: Buffer, more: readonly Buffer[] | undefined): Buffer {
  if (more === undefined) return first;
  return Buffer.concat([first, ...more.flatMap((line) => [NEW_LINE, line])]);
}

/** Whether the bytes are this text, which costs a tenth of making a string of them. */
function stands(bytes: Buffer, start: number, end: number, ascii: string): boolean {
  if (end - start !== ascii.length) return false;
  for (let index = 0; index < ascii.length; index += 1) {
    // oxlint-disable-next-line unicorn/prefer-code-point
    if (bytes[start + index] !== ascii.charCodeAt(index)) return false;
  }
  return true;
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, "");
}

/** Whether `blankLineBreaks` would change anything: to know it, no view of the place has to be made. */
export function hasLineBreak(text: Buffer): boolean {
  return text.includes(LINE_FEED) || text.includes(CARRIAGE_RETURN);
}

/** Makes spaces of line breaks, in place. In JSON both mean the same between values, and strings hold neither. */
export function blankLineBreaks(text: Buffer): void {
  for (const lineBreak of [LINE_FEED, CARRIAGE_RETURN]) {
    let at = text.indexOf(lineBreak);
    while (at !== -1) {
      text[at] = SPACE;
      at = text.indexOf(lineBreak, at + 1);
    }
  }
}
