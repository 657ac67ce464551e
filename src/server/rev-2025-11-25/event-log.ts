import type { ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { OpenStreams } from "../open-streams.ts";
import { EventBatch } from "./event-batch.ts";

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

/** More than this is not held back, however much more may come in the same moment. */
const MAX_PENDING_BYTES = 65_536;

export interface EventLogOptions {
  readonly streams: OpenStreams;
  /** Bytes that may wait for one slow reader. */
  readonly streamBufferBytes: number;
  /** Priming events exist from 2025-11-25 on; older clients would stumble over an event without data. */
  readonly isPriming: boolean;
  readonly limits?: EventLogLimits;
  readonly now?: () => number;
}

interface KeptBatch {
  readonly stream: EventStream;
  readonly batch: EventBatch;
  readonly atMs: number;
}

/** The next look of a log at what it keeps. Apart from the log, so that whoever ends the wait need not hold the log. */
interface Sweeping {
  due?: Deadline;
}

/** Nobody tells a log that its session has ended, and a wait for each session of the last minutes adds up. */
const COLLECTED_LOGS = new FinalizationRegistry<Sweeping>(({ due }) => due?.cancel());

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
  readonly #kept: KeptBatch[] = [];
  #keptEvents = 0;
  #keptBytes = 0;
  #streamCount = 0;
  readonly #sweeping: Sweeping = {};

  constructor(options: EventLogOptions) {
    this.options = options;
    this.#limits = options.limits ?? DEFAULT_EVENT_LOG_LIMITS;
    this.#now = options.now ?? (() => performance.now());
    COLLECTED_LOGS.register(this, this.#sweeping);
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
    this.#forgetOld(this.#now());
    const [, streamId, number] = EVENT_ID.exec(lastEventId) ?? [];
    const stream = streamId === undefined ? undefined : this.#streams.get(streamId);
    stream?.flush();
    const after = Number(number);
    if (stream === undefined || after < stream.oldestResumable || after > stream.lastNumber) {
      throw new VmcpError("invalid_request", "No event of this session has that id, or no longer");
    }
    const missed = this.#kept
      .filter((kept) => kept.stream === stream && kept.batch.lastNumber > after)
      .map(({ batch }) => batch.after(after));
    stream.continueOn(response, missed);
  }

  /** For streams only: one that has ended is known for as long as an event of it is kept. */
  ended(stream: EventStream): void {
    if (stream.lastNumber <= stream.oldestResumable) this.#streams.delete(stream.id);
  }

  /** For streams only. */
  keep(stream: EventStream, batch: EventBatch): void {
    const atMs = this.#now();
    this.#kept.push({ stream, batch, atMs });
    this.#keptEvents += batch.count;
    this.#keptBytes += batch.keptBytes;
    this.#forgetOld(atMs);
    this.#sweepLater();
  }

  /** What nobody asks for is forgotten too. The wait must not keep the log, and with it a session that has ended. */
  #sweepLater(): void {
    if (this.#sweeping.due !== undefined || this.#kept.length === 0) return;
    const log = new WeakRef(this);
    this.#sweeping.due = DEADLINES.add(this.#limits.ageMs, () => {
      const living = log.deref();
      if (living !== undefined) living.#sweep();
    });
  }

  #sweep(): void {
    delete this.#sweeping.due;
    this.#forgetOld(this.#now());
    this.#sweepLater();
  }

  #boundStreams(): void {
    for (const stream of this.#streams.values()) {
      if (this.#streams.size <= MAX_STREAMS) return;
      if (!stream.isAttached) this.#streams.delete(stream.id);
    }
  }

  #forgetOld(nowMs: number): void {
    const oldest = nowMs - this.#limits.ageMs;
    let emptied = 0;
    for (const kept of this.#kept) {
      if (kept.atMs < oldest || this.#isTooMuchWith(kept.batch)) this.#forgetAll(kept);
      while (kept.batch.count > 0 && this.#isOver) this.#forgetFirst(kept);
      if (kept.batch.count > 0) break;
      emptied += 1;
    }
    if (emptied > 0) this.#kept.splice(0, emptied);
  }

  get #isOver(): boolean {
    return this.#keptEvents > this.#limits.events || this.#keptBytes > this.#limits.bytes;
  }

  /** Whether the last event of the batch has to go too: then nobody has to look at those before it. */
  #isTooMuchWith({ count, keptBytes }: EventBatch): boolean {
    const { events, bytes } = this.#limits;
    return this.#keptEvents - count >= events || this.#keptBytes - keptBytes >= bytes;
  }

  #forgetAll({ stream, batch }: KeptBatch): void {
    const { lastNumber } = batch;
    this.#keptEvents -= batch.count;
    this.#keptBytes -= batch.keptBytes;
    batch.dropAll();
    this.#forgotUpTo(lastNumber, stream);
  }

  #forgetFirst({ stream, batch }: KeptBatch): void {
    const { firstNumber, keptBytes } = batch;
    batch.dropFirst();
    this.#keptEvents -= 1;
    this.#keptBytes -= keptBytes - batch.keptBytes;
    this.#forgotUpTo(firstNumber, stream);
  }

  #forgotUpTo(number: number, stream: EventStream): void {
    stream.oldestResumable = number;
    if (stream.isEnded && number === stream.lastNumber) this.#streams.delete(stream.id);
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

const NOBODY: StreamListener = { drained() {}, cut() {}, resumed() {} };

/** One stream of events towards a client, which may outlive the connection that carries it. */
export class EventStream {
  readonly id: string;
  /** An event of this number or later can be gone on from. */
  oldestResumable = 0;
  lastNumber = 0;
  isEnded = false;
  readonly #log: EventLog;
  #listener: StreamListener;
  #response: ServerResponse | undefined;
  /** What was written and has not left, because more may come in the same moment. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** What has to leave before the first event. */
  #prefix = "";

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
    const response = this.#response;
    if (response?.writableNeedDrain !== true) return false;
    return response.writableLength + this.#pendingBytes > this.#log.options.streamBufferBytes;
  }

  /** For the log only. */
  begin(response: ServerResponse): void {
    this.#attach(response);
    // An id without a message: from it the client can ask for a stream that was cut before its first event.
    if (this.#log.options.isPriming)
      this.#prefix = `id: ${this.id}-0\nretry: ${RETRY_MS}\ndata: \n\n`;
    if (this.#prefix === "") response.flushHeaders();
    else this.#flushSoon();
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

  /**
   * Sends one message, or keeps it for a reader that may come back. What is written in one moment leaves in one
   * piece at its end. False asks to wait for `drained`.
   */
  write(message: Buffer): boolean {
    this.lastNumber += 1;
    this.#pending.push(message);
    this.#pendingBytes += message.length;
    if (this.#pendingBytes >= MAX_PENDING_BYTES) this.flush();
    else if (this.#pending.length === 1) this.#flushSoon();
    return this.#response?.writableNeedDrain !== true;
  }

  /** Sends at once what was written. */
  flush(): void {
    const bytes = this.#take();
    if (bytes !== undefined) this.#response?.write(bytes);
  }

  /** As `end`, for a stream that its client wants to go on: where the gateway stops, it says when to come back. */
  endEarly(): void {
    const { isPriming, streams } = this.#log.options;
    if (isPriming && streams.isStopping) {
      this.flush();
      this.#response?.write(`retry: ${comeBackMs()}\n\n`);
    }
    this.end();
  }

  /** Nothing follows; what was sent can still be asked for again. */
  end(): void {
    const bytes = this.#take();
    this.isEnded = true;
    // The stream is known for as long as an event of it is kept: whoever made it, with all of its call, is not.
    this.#listener = NOBODY;
    this.#log.ended(this);
    if (bytes === undefined) this.#response?.end();
    else this.#response?.end(bytes);
  }

  #flushSoon(): void {
    queueMicrotask(() => this.flush());
  }

  /** What has not left yet, which is kept from now on; undefined where that is nothing. */
  #take(): Buffer | undefined {
    const [prefix, messages] = [this.#prefix, this.#pending];
    if (prefix === "" && messages.length === 0) return undefined;
    const firstNumber = this.lastNumber - messages.length + 1;
    const batch = new EventBatch(this.id, firstNumber, messages, prefix);
    this.#prefix = "";
    this.#pending = [];
    this.#pendingBytes = 0;
    if (messages.length > 0) this.#log.keep(this, batch);
    return batch.bytes;
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
