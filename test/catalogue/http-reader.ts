/** One HTTP answer, as far as it has come. */
export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name; of a header that stands twice, all values joined with ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** What came of the body, decoded. */
  readonly body: string;
  readonly isComplete: boolean;
}

/** The `data` of every complete event in an event stream's text. */
export function eventsIn(text: string): readonly string[] {
  return text
    .replaceAll("\r\n", "\n")
    .split("\n\n")
    .slice(0, -1)
    .map(dataOf)
    .filter((data) => data !== "");
}

/** The `id` of every event in an event stream's text. */
export function eventIdsIn(text: string): readonly string[] {
  return [...text.matchAll(/^id: ?(.+)$/gm)].map(([, id]) => id ?? "");
}

const EVENT_STREAM = "text/event-stream";

export function isEventStream({ headers }: HttpAnswer): boolean {
  return headers.get("content-type")?.startsWith(EVENT_STREAM) === true;
}

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * Reads the answers on one connection from its bytes, in order. Interim answers (1xx) are left out. `onEvents` gets
 * what is new in the body of an event stream.
 */
export class HttpReader {
  readonly #onEvents: (text: string) => void;
  #rest: Buffer = Buffer.alloc(0);
  readonly #done: HttpAnswer[] = [];
  #head: Head | undefined;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #isAtEnd = false;

  constructor(onEvents: (text: string) => void) {
    this.#onEvents = onEvents;
  }

  take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#advance());
  }

  /** The connection was closed: an answer without a length is complete now. */
  end(): void {
    this.#isAtEnd = true;
    while (this.#advance());
  }

  get completeCount(): number {
    return this.#done.length;
  }

  /** Whether the head of an answer has come. */
  get hasBegun(): boolean {
    return this.#done.length > 0 || this.#head !== undefined;
  }

  /** All answers so far; the last one may be incomplete. */
  get answers(): readonly HttpAnswer[] {
    if (this.#head === undefined) return this.#done;
    return [...this.#done, this.#current(false)];
  }

  #current(isComplete: boolean): HttpAnswer {
    const { status = 0, headers = new Map<string, string>() } = this.#head ?? {};
    return { status, headers, body: Buffer.concat(this.#body).toString(), isComplete };
  }

  /** Returns whether it got any further. */
  #advance(): boolean {
    if (this.#head === undefined) return this.#takeHead();
    const length = this.#head.headers.get("content-length");
    if (hasNoBody(this.#head.status)) return this.#finish();
    if (this.#head.headers.get("transfer-encoding") === "chunked") return this.#takeChunk();
    if (length !== undefined) return this.#takeLength(Number(length));
    this.#moveToBody(this.#rest.length);
    return this.#isAtEnd && this.#finish();
  }

  #takeHead(): boolean {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [statusLine = "", ...lines] = this.#rest.toString("latin1", 0, end).split("\r\n");
    this.#rest = this.#rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(statusLine)?.[1] ?? 0);
    if (status >= 100 && status < 200) return true;
    this.#head = { status, headers: headersOf(lines) };
    return true;
  }

  #takeLength(length: number): boolean {
    this.#moveToBody(Math.min(length - this.#bodyBytes, this.#rest.length));
    return this.#bodyBytes >= length && this.#finish();
  }

  #takeChunk(): boolean {
    const lineEnd = this.#rest.indexOf("\r\n");
    if (lineEnd < 0) return false;
    const size = Number.parseInt(this.#rest.toString("latin1", 0, lineEnd), 16);
    if (this.#rest.length < lineEnd + 2 + size + 2) return false;
    this.#rest = this.#rest.subarray(lineEnd + 2);
    this.#moveToBody(size);
    this.#rest = this.#rest.subarray(2);
    return size === 0 ? this.#finish() : true;
  }

  #moveToBody(size: number): void {
    const part = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(size);
    this.#body.push(part);
    this.#bodyBytes += part.length;
    const type = this.#head?.headers.get("content-type");
    if (type?.startsWith(EVENT_STREAM) === true) this.#onEvents(part.toString("latin1"));
  }

  #finish(): boolean {
    this.#done.push(this.#current(true));
    this.#head = undefined;
    this.#body = [];
    this.#bodyBytes = 0;
    return true;
  }
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

function headersOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function dataOf(block: string): string {
  return block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
}
