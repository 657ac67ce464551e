import type { ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES } from "../../lib/deadlines.ts";
import { formatSseEvent } from "../../mcp/sse.ts";
import type { OpenStreams } from "../open-streams.ts";

/** What one session's streams keep for a client that comes back. */
export interface EventLogLimits {
  readonly events: number;
  readonly bytes: number;
  readonly ageMs: number;
}

const DEFAULT_EVENT_LOG_LIMITS: EventLogLimits = {
  events: 256,
  bytes: 1_048_576,
  ageMs: 5 * 60_000,
};

/** Streams of one session that are known; of those that no connection carries, the oldest is forgotten first. */
const MAX_STREAMS = 64;

/** How long a client waits before it comes back for a stream that was cut. */
const RETRY_MS = 1_000;

/** The same, at least, for a stream that ends because the gateway stops. */
const COME_BACK_MS = 5_000;

export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** Whether so much waits for a slow reader that no more should be added; a `drain` follows. */
function isFull(response: ServerResponse, maxBytes: number): boolean {
  return response.writableNeedDrain && response.writableLength > maxBytes;
}

export interface EventLogOptions {
  readonly streams: OpenStreams;
  /** Bytes that may wait for one slow reader. */
  readonly streamBufferBytes: number;
  /** Priming events exist from 2025-11-25 on; older clients would stumble over an event without data. */
  readonly isPriming: boolean;
  readonly limits?: EventLogLimits;
  readonly now?: () => number;
}

interface KeptEvent {
  readonly stream: EventStream;
  readonly number: number;
  readonly bytes: Buffer;
  readonly atMs: number;
}

/**
 * The event streams of one session, and the last events on them, so that a stream that was cut can go on
 * where it stopped.
 *
 * Bounded in events, bytes and age over all streams of the session; the oldest give way. An id names its
 * stream and is good in this session only. Source: MCP transports, "Resumability and Redelivery".
 */
export class EventLog {
  readonly options: EventLogOptions;
  readonly #limits: EventLogLimits;
  readonly #now: () => number;
  readonly #streams = new Map<string, EventStream>();
  readonly #kept: KeptEvent[] = [];
  #keptBytes = 0;
  #streamCount = 0;
  #isSweepDue = false;

  constructor(options: EventLogOptions) {
    this.options = options;
    this.#limits = options.limits ?? DEFAULT_EVENT_LOG_LIMITS;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Begins a stream on that response: its head leaves now. */
  open(response: ServerResponse, listener: StreamListener): EventStream {
    this.#streamCount += 1;
    const stream = new EventStream(this, this.#streamCount.toString(36), listener);
    this.#streams.set(stream.id, stream);
    stream.begin(response);
    this.#boundStreams();
    return stream;
  }

  /**
   * Goes on with the stream of that event, from the event after it. Throws `invalid_request` for an id that
   * this session never gave out, and where an event in between is no longer kept.
   */
  resume(lastEventId: string, response: ServerResponse): void {
    this.#forgetOld();
    const [, streamId, number] = EVENT_ID.exec(lastEventId) ?? [];
    const stream = streamId === undefined ? undefined : this.#streams.get(streamId);
    const after = Number(number);
    if (stream === undefined || after < stream.oldestResumable || after > stream.lastNumber) {
      throw new VmcpError("invalid_request", "No event of this session has that id, or no longer");
    }
    const missed = this.#kept
      .filter((event) => event.stream === stream && event.number > after)
      .map(({ bytes }) => bytes);
    stream.continueOn(response, missed);
  }

  /** For streams only: one that has ended is known for as long as an event of it is kept. */
  ended(stream: EventStream): void {
    if (stream.lastNumber <= stream.oldestResumable) this.#streams.delete(stream.id);
  }

  /** For streams only. */
  keep(stream: EventStream, number: number, bytes: Buffer): void {
    this.#kept.push({ stream, number, bytes, atMs: this.#now() });
    this.#keptBytes += bytes.length;
    this.#forgetOld();
    this.#sweepLater();
  }

  /** What nobody asks for is forgotten too. The wait must not keep the log, and with it a session that has ended. */
  #sweepLater(): void {
    if (this.#isSweepDue || this.#kept.length === 0) return;
    this.#isSweepDue = true;
    const log = new WeakRef(this);
    DEADLINES.add(this.#limits.ageMs, () => {
      const living = log.deref();
      if (living !== undefined) living.#sweep();
    });
  }

  #sweep(): void {
    this.#isSweepDue = false;
    this.#forgetOld();
    this.#sweepLater();
  }

  #boundStreams(): void {
    for (const stream of this.#streams.values()) {
      if (this.#streams.size <= MAX_STREAMS) return;
      if (!stream.isAttached) this.#streams.delete(stream.id);
    }
  }

  #forgetOld(): void {
    const { events, bytes, ageMs } = this.#limits;
    const oldest = this.#now() - ageMs;
    let count = 0;
    for (const event of this.#kept) {
      const isOver = this.#kept.length - count > events || this.#keptBytes > bytes;
      if (!isOver && event.atMs >= oldest) break;
      count += 1;
      this.#keptBytes -= event.bytes.length;
      event.stream.oldestResumable = event.number;
      if (event.stream.isEnded && event.number === event.stream.lastNumber) {
        this.#streams.delete(event.stream.id);
      }
    }
    this.#kept.splice(0, count);
  }
}

/** What the maker of a stream hears of its reader. */
export interface StreamListener {
  /** The reader can take more. */
  readonly drained: () => void;
  /** The connection was cut before the stream ended; it may come back. */
  readonly cut: () => void;
  /** The client came back for the stream. */
  readonly resumed: () => void;
}

/** One stream of events towards a client, which may outlive the connection that carries it. */
export class EventStream {
  readonly id: string;
  /** An event of this number or later can be gone on from. */
  oldestResumable = 0;
  lastNumber = 0;
  isEnded = false;
  readonly #log: EventLog;
  readonly #listener: StreamListener;
  #response: ServerResponse | undefined;

  constructor(log: EventLog, id: string, listener: StreamListener) {
    this.#log = log;
    this.id = id;
    this.#listener = listener;
  }

  /** Whether a connection carries the stream now. */
  get isAttached(): boolean {
    return this.#response !== undefined;
  }

  /** So much waits for a slow reader that what may be lost should not be added. */
  get isFull(): boolean {
    return (
      this.#response !== undefined && isFull(this.#response, this.#log.options.streamBufferBytes)
    );
  }

  /** For the log only. */
  begin(response: ServerResponse): void {
    this.#attach(response);
    if (this.#log.options.isPriming) {
      // An id without a message: from it the client can ask for a stream that was cut before its first event.
      response.write(`id: ${this.id}-0\nretry: ${RETRY_MS}\ndata: \n\n`);
    }
    response.flushHeaders();
  }

  /** For the log only: what was missed comes first. An older connection that still stands is ended. */
  continueOn(response: ServerResponse, missed: readonly Buffer[]): void {
    const previous = this.#response;
    this.#attach(response);
    previous?.end();
    for (const bytes of missed) response.write(bytes);
    response.flushHeaders();
    if (this.isEnded) response.end();
    else this.#listener.resumed();
  }

  /** Sends one message, or keeps it for a reader that may come back. False asks to wait for `drained`. */
  write(message: Buffer): boolean {
    this.lastNumber += 1;
    const bytes = formatSseEvent({ id: `${this.id}-${this.lastNumber}`, data: message });
    this.#log.keep(this, this.lastNumber, bytes);
    return this.#response?.write(bytes) ?? true;
  }

  /** As `end`, for a stream that its client wants to go on: where the gateway stops, it says when to come back. */
  endEarly(): void {
    const { isPriming, streams } = this.#log.options;
    if (isPriming && streams.isStopping) this.#response?.write(`retry: ${comeBackMs()}\n\n`);
    this.end();
  }

  /** Nothing follows; what was sent can still be asked for again. */
  end(): void {
    this.isEnded = true;
    this.#log.ended(this);
    this.#response?.end();
  }

  #attach(response: ServerResponse): void {
    this.#response = response;
    if (!response.headersSent) response.writeHead(200, EVENT_STREAM_HEADERS);
    this.#log.options.streams.add(response);
    response.on("drain", () => this.#listener.drained());
    response.on("close", () => {
      if (this.#response !== response) return;
      this.#response = undefined;
      if (!this.isEnded) this.#listener.cut();
    });
  }
}

/** After a restart not all clients should be back at the same moment. */
function comeBackMs(): number {
  return COME_BACK_MS + Math.floor(Math.random() * COME_BACK_MS);
}

const EVENT_ID = /^([0-9a-z]{1,12})-(\d{1,15})$/;
