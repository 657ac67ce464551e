import { HttpClientError } from "./http-client-error.ts";

/** How a body ends (RFC 9112, 6.3). */
type Framing = "none" | "sized" | "chunked" | "until-close";

/** The first part of a response. */
export interface WireHead {
  readonly status: number;
  /** Names in lower case and values in turn. */
  readonly headers: readonly string[];
  readonly framing: Framing;
  /** Of a sized body. */
  readonly length: number;
  /** For how long the connection may wait for its next request; 0: not at all. */
  readonly keepAliveMs: number;
}

/** What a server that says nothing gives an idle connection at the least: node's own closes after 5 s. */
const DEFAULT_KEEP_ALIVE_MS = 4_000;
const MAX_KEEP_ALIVE_MS = 600_000;
/** Taken off what a server says: a request that leaves at the last moment would meet the end of its connection. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

const USUAL_START = "HTTP/1.1 200 OK\r\n";
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Any control character but tab, and a line that does not end in both of its two. */
const MALFORMED = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/;
const LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,;\s])timeout=(\d{1,9})/i;
const BODILESS_STATUSES: ReadonlySet<number> = new Set([204, 304]);

/**
 * Reads the head of a response: `text` is Latin-1, without the empty line behind it.
 *
 * Strict where leniency would let two readers see two different bodies (RFC 9112, 6.3 and 11.1): one length, no length
 * beside a transfer coding, no coding but chunked, no folded lines, no bare CR or LF. Throws `ERR_MALFORMED_RESPONSE`.
 */
export function parseWireHead(text: string): WireHead {
  if (MALFORMED.test(text)) throw malformed("a character that its head must not hold");
  let isModern = true;
  let status = 200;
  let at = USUAL_START.length;
  if (!text.startsWith(USUAL_START)) {
    const end = lineEnd(text, 0);
    const [, minor, code] = STATUS_LINE.exec(text.slice(0, end)) ?? [];
    if (code === undefined) throw malformed("no status line of HTTP/1");
    isModern = minor === "1";
    status = Number(code);
    at = end + 2;
  }
  const fields = new FramingFields();
  const headers: string[] = [];
  while (at < text.length) {
    const end = lineEnd(text, at);
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon > end) throw malformed("a line without a header");
    const name = text.slice(at, colon);
    if (!NAME.test(name)) throw malformed("a header's name that is none");
    const lower = name.toLowerCase();
    const value = text.slice(colon + 1, end).trim();
    fields.take(lower, value);
    headers.push(lower, value);
    at = end + 2;
  }
  return { status, headers, ...fields.framing(status, isModern) };
}

/** The few headers that say where a body ends and what becomes of the connection. */
class FramingFields {
  #length: string | undefined;
  #coding: string | undefined;
  #connection: string | undefined;
  #keepAlive: string | undefined;

  take(name: string, value: string): void {
    switch (name) {
      case "content-length":
        if (this.#length !== undefined) throw malformed("two lengths");
        this.#length = value;
        break;
      case "transfer-encoding":
        if (this.#coding !== undefined) throw malformed("two transfer codings");
        this.#coding = value;
        break;
      case "connection":
        this.#connection = this.#connection === undefined ? value : `${this.#connection},${value}`;
        break;
      case "keep-alive":
        this.#keepAlive = value;
        break;
      default:
    }
  }

  framing(status: number, isModern: boolean): Pick<WireHead, "framing" | "length" | "keepAliveMs"> {
    const length = this.#toLength();
    const framing = this.#framing(status, isModern);
    const isKept = framing !== "until-close" && this.#isKept(isModern);
    return { framing, length, keepAliveMs: isKept ? this.#keepAliveMs() : 0 };
  }

  #framing(status: number, isModern: boolean): Framing {
    if (this.#coding !== undefined) {
      const isKnown = isModern && this.#coding.toLowerCase() === "chunked";
      if (!isKnown) throw malformed("a transfer coding other than chunked");
      if (this.#length !== undefined) throw malformed("a length beside a transfer coding");
    }
    if (status < 200 || BODILESS_STATUSES.has(status)) return "none";
    if (this.#coding !== undefined) return "chunked";
    return this.#length === undefined ? "until-close" : "sized";
  }

  #toLength(): number {
    if (this.#length === undefined) return 0;
    if (!LENGTH.test(this.#length)) throw malformed("a length that is no number");
    return Number(this.#length);
  }

  #isKept(isModern: boolean): boolean {
    if (this.#connection === undefined) return isModern;
    if (this.#connection === "keep-alive") return true;
    const options = this.#connection.split(",").map((option) => option.trim().toLowerCase());
    if (options.includes("close")) return false;
    return isModern || options.includes("keep-alive");
  }

  #keepAliveMs(): number {
    if (this.#keepAlive === undefined) return DEFAULT_KEEP_ALIVE_MS;
    if (this.#keepAlive !== lastKeepAlive.value) {
      lastKeepAlive = { value: this.#keepAlive, ms: toKeepAliveMs(this.#keepAlive) };
    }
    return lastKeepAlive.ms;
  }
}

/** Servers say the same each time. */
let lastKeepAlive = { value: "", ms: DEFAULT_KEEP_ALIVE_MS };

function toKeepAliveMs(value: string): number {
  const seconds = KEEP_ALIVE_TIMEOUT.exec(value)?.[1];
  if (seconds === undefined) return DEFAULT_KEEP_ALIVE_MS;
  const ms = Number(seconds) * 1_000 - KEEP_ALIVE_MARGIN_MS;
  return Math.min(Math.max(ms, 0), MAX_KEEP_ALIVE_MS);
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\r\n", from);
  return end < 0 ? text.length : end;
}

export function malformed(what: string): HttpClientError {
  return new HttpClientError("ERR_MALFORMED_RESPONSE", `the answer has ${what}`);
}
