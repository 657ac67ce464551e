import { HttpClientError } from "./http-client-error.ts";
import { malformed, parseWireHead, type WireHead } from "./response-head.ts";

/** Status line and headers together, and as much again for what may follow a chunked body. */
export const MAX_HEAD_BYTES = 16_384;
/** Of interim answers, of which each may have a head of that size. */
const MAX_INTERIM_ANSWERS = 8;
/** Of a chunk's size with its extensions. */
const MAX_CHUNK_LINE_BYTES = 1_024;
const MAX_CHUNK_BYTES = Number.MAX_SAFE_INTEGER / 16 - 1;

const HEAD_END = "\r\n\r\n";
const [CR, LF, TAB, SPACE, SEMICOLON] = [13, 10, 9, 32, 59] as const;

type Phase =
  | "head"
  | "sized"
  | "until-close"
  | "chunk-size"
  | "chunk-extension"
  | "chunk-size-lf"
  | "chunk-data"
  | "chunk-cr"
  | "chunk-lf"
  | "trailer-start"
  | "trailer"
  | "trailer-lf"
  | "last-lf"
  | "done";

/**
 * Reads the responses on one connection, whatever pieces they come in (RFC 9112).
 *
 * Each read leaves in the fields what it found: a head, the part of the body (chunks of one read are joined), and
 * whether the response is whole. Nothing found refers to the bytes given, which may be overwritten at once.
 */
export class ResponseParser {
  /** The head, if the last read completed it. */
  head: WireHead | undefined;
  /** What the last read held of the body. */
  body: Buffer | undefined;
  /** For how long the connection may be kept once the response is whole; 0: not at all. */
  keepAliveMs = 0;
  #phase: Phase = "head";
  #partialHead: Buffer | undefined;
  #interimAnswers = 0;
  /** Of a sized body or of a chunk, in bytes. */
  #left = 0;
  /** Of a chunk's first line, or of all trailers. */
  #lineBytes = 0;
  #hasDigits = false;

  /** Makes it ready for the next response. */
  reset(): void {
    this.#phase = "head";
    this.#interimAnswers = 0;
  }

  get isDone(): boolean {
    return this.#phase === "done";
  }

  /** To be called when the connection ends. Whether that, or what came before, makes the response whole. */
  end(): boolean {
    if (this.#phase === "until-close") this.#phase = "done";
    return this.isDone;
  }

  /** Lets go of what the last read found. */
  forget(): void {
    this.head = undefined;
    this.body = undefined;
  }

  /**
   * Reads the first `length` of these bytes, in which it may move parts about. Throws `ERR_MALFORMED_RESPONSE` or
   * `ERR_RESPONSE_HEAD_TOO_LARGE`, after which nothing on the connection can be trusted.
   */
  read(bytes: Buffer, length: number): void {
    this.forget();
    let [source, end, at] = [bytes, length, 0];
    if (this.#partialHead !== undefined) {
      source = Buffer.concat([this.#partialHead, bytes.subarray(0, length)]);
      end = source.length;
      this.#partialHead = undefined;
    }
    while (this.#phase === "head") {
      const bodyStart = this.#readHead(source, at, end);
      if (bodyStart === undefined) return;
      at = bodyStart;
    }
    this.#readBody(source, at, end);
  }

  /** Where it ends; undefined while it is not complete. */
  #readHead(bytes: Buffer, at: number, end: number): number | undefined {
    const headEnd = bytes.indexOf(HEAD_END, at, "latin1");
    // Behind what was read stand older bytes, which may look like the end of a head.
    const isComplete = headEnd >= 0 && headEnd + HEAD_END.length <= end;
    // Of an incomplete one the last bytes may belong to its end.
    if ((isComplete ? headEnd : end - HEAD_END.length + 1) - at > MAX_HEAD_BYTES) {
      throw new HttpClientError(
        "ERR_RESPONSE_HEAD_TOO_LARGE",
        `the answer's head has over ${MAX_HEAD_BYTES} bytes`,
      );
    }
    if (!isComplete) {
      if (end > at) this.#partialHead = Buffer.from(bytes.subarray(at, end));
      return undefined;
    }
    const head = parseWireHead(bytes.toString("latin1", at, headEnd));
    if (head.status < 200) this.#passOver(head);
    else this.#begin(head);
    return headEnd + HEAD_END.length;
  }

  #passOver({ status }: WireHead): void {
    this.#interimAnswers += 1;
    if (status === 101) throw malformed("another protocol, which nobody asked for");
    if (this.#interimAnswers > MAX_INTERIM_ANSWERS) throw malformed("too many before it");
  }

  #begin(head: WireHead): void {
    this.head = head;
    this.keepAliveMs = head.keepAliveMs;
    if (head.framing === "chunked") {
      this.#beginChunk();
    } else if (head.framing === "until-close") {
      this.#phase = "until-close";
    } else {
      this.#left = head.framing === "sized" ? head.length : 0;
      this.#phase = this.#left === 0 ? "done" : "sized";
    }
  }

  #readBody(bytes: Buffer, at: number, end: number): void {
    let rest = at;
    if (this.#phase === "sized") {
      rest = Math.min(end, at + this.#left);
      this.#left -= rest - at;
      if (this.#left === 0) this.#phase = "done";
      this.body = copyOf(bytes, at, rest);
    } else if (this.#phase === "until-close") {
      rest = end;
      this.body = copyOf(bytes, at, end);
    } else if (this.#phase !== "done") {
      rest = this.#readChunks(bytes, at, end);
    }
    // What nobody asked for yet cannot be an answer: it would be taken for that of the next request.
    if (rest < end) this.keepAliveMs = 0;
  }

  /** Joins what the chunks hold, in place, behind the first of them. Returns where the response ends. */
  #readChunks(bytes: Buffer, from: number, end: number): number {
    let [at, dataStart, dataEnd] = [from, -1, -1];
    while (at < end && this.#phase !== "done") {
      if (this.#phase !== "chunk-data") {
        this.#readFraming(bytes[at] ?? 0);
        at += 1;
        continue;
      }
      const pieceEnd = Math.min(end, at + this.#left);
      if (dataStart < 0) {
        dataStart = at;
        dataEnd = pieceEnd;
      } else {
        bytes.copyWithin(dataEnd, at, pieceEnd);
        dataEnd += pieceEnd - at;
      }
      this.#left -= pieceEnd - at;
      if (this.#left === 0) this.#phase = "chunk-cr";
      at = pieceEnd;
    }
    this.body = dataStart < 0 ? undefined : copyOf(bytes, dataStart, dataEnd);
    return at;
  }

  /** One byte between the contents of two chunks, or behind the last one (RFC 9112, 7.1). */
  #readFraming(byte: number): void {
    switch (this.#phase) {
      case "chunk-size":
        this.#readSize(byte);
        break;
      case "chunk-extension":
        this.#countLine(MAX_CHUNK_LINE_BYTES);
        if (byte === CR) this.#phase = "chunk-size-lf";
        else if (byte === LF) throw malformed("a chunk whose size does not end in CR LF");
        break;
      case "chunk-size-lf":
        expectByte(byte, LF);
        this.#lineBytes = 0;
        this.#phase = this.#left === 0 ? "trailer-start" : "chunk-data";
        break;
      case "chunk-cr":
        expectByte(byte, CR);
        this.#phase = "chunk-lf";
        break;
      case "chunk-lf":
        expectByte(byte, LF);
        this.#beginChunk();
        break;
      case "trailer-start":
        this.#countLine(MAX_HEAD_BYTES);
        this.#phase = byte === CR ? "last-lf" : "trailer";
        if (byte === LF) throw malformed("a trailer that does not end in CR LF");
        break;
      case "trailer":
        this.#countLine(MAX_HEAD_BYTES);
        if (byte === CR) this.#phase = "trailer-lf";
        else if (byte === LF) throw malformed("a trailer that does not end in CR LF");
        break;
      case "trailer-lf":
        expectByte(byte, LF);
        this.#phase = "trailer-start";
        break;
      case "last-lf":
        expectByte(byte, LF);
        this.#phase = "done";
        break;
      case "head":
      case "sized":
      case "until-close":
      case "chunk-data":
      case "done":
        break;
    }
  }

  #beginChunk(): void {
    this.#phase = "chunk-size";
    this.#left = 0;
    this.#lineBytes = 0;
    this.#hasDigits = false;
  }

  #readSize(byte: number): void {
    this.#countLine(MAX_CHUNK_LINE_BYTES);
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (this.#left > MAX_CHUNK_BYTES) throw malformed("a chunk of more bytes than there are");
      this.#left = this.#left * 16 + digit;
      this.#hasDigits = true;
      return;
    }
    if (!this.#hasDigits) throw malformed("a chunk without a size");
    if (byte === CR) this.#phase = "chunk-size-lf";
    else if (byte === SEMICOLON || byte === SPACE || byte === TAB) this.#phase = "chunk-extension";
    else throw malformed("a chunk whose size is no number");
  }

  #countLine(maxBytes: number): void {
    this.#lineBytes += 1;
    if (this.#lineBytes > maxBytes) throw malformed("too much around its chunks");
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function expectByte(byte: number, expected: number): void {
  if (byte !== expected) throw malformed("a chunk that is longer than it says");
}

/** Undefined where there is nothing. */
function copyOf(bytes: Buffer, start: number, end: number): Buffer | undefined {
  if (end === start) return undefined;
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
