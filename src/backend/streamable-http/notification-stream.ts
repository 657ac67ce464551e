import type { Dispatcher } from "undici";
import type { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { SseParser } from "../../mcp/sse.ts";
import { codeOf } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { readMessages } from "../read-messages.ts";
import { readHead, statusError } from "./response-head.ts";

/** The bounds of every wait before the stream is opened again, whatever the backend asks for. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** An id that is sent back in a header must be one that HTTP can carry. */
const SENDABLE_ID = /^[\x20-\x7e]{1,1024}$/;

export interface NotificationStreamOptions {
  readonly settings: BackendSettings;
  readonly streams: Dispatcher;
  readonly path: string;
  /** The headers as they are at that moment. */
  readonly headers: () => string[];
  readonly hasSession: () => boolean;
  readonly receive: (message: BackendMessage) => void;
  readonly lost: (error: VmcpError) => void;
}

/**
 * The backend's own stream of messages that belong to no call (GET).
 *
 * Opened on demand, and again after a pause when it breaks: the backend's `retry` or growing steps, both
 * between 1 and 60 seconds. A backend that offers none (405) is not asked again; nor is one that refuses.
 */
export class NotificationStream {
  readonly #options: NotificationStreamOptions;
  #phase: "idle" | "open" | "waiting" | "closed" = "idle";
  #abort: (() => void) | undefined;
  #retry: Deadline | undefined;
  #lastEventId: string | undefined;
  #requestedRetryMs: number | undefined;
  #failures = 0;

  constructor(options: NotificationStreamOptions) {
    this.#options = options;
  }

  /** Safe to repeat. */
  open(): void {
    if (this.#phase === "idle") this.#connect();
  }

  close(): void {
    this.#phase = "closed";
    this.#retry?.cancel();
    this.#abort?.();
  }

  #connect(): void {
    const { streams, path } = this.#options;
    this.#phase = "open";
    const headers = this.#options.headers();
    if (this.#lastEventId !== undefined) headers.push("last-event-id", this.#lastEventId);
    streams.dispatch({ path, method: "GET", headers }, this.#handler());
  }

  #handler(): Dispatcher.DispatchHandler {
    const { sseEventBytes } = this.#options.settings.limits;
    const parser = new SseParser({ maxEventBytes: sseEventBytes });
    let isStream = false;
    return {
      onConnect: (abort) => {
        if (this.#phase === "closed") throw new Error("nobody wants this stream any longer");
        this.#abort = abort;
      },
      onHeaders: (status, rawHeaders) => {
        if (status < 200) return true;
        isStream = this.#accept(status, rawHeaders);
        if (!isStream) this.#abort?.();
        return true;
      },
      onData: (chunk) => {
        if (isStream) this.#read(parser, chunk);
        return true;
      },
      onComplete: () => this.#broke("", isStream),
      onError: (thrown) => this.#broke(codeOf(thrown), isStream),
    };
  }

  #accept(status: number, rawHeaders: readonly Buffer[]): boolean {
    const { settings, hasSession, lost } = this.#options;
    const head = readHead(status, rawHeaders);
    if (status === 200 && head.mediaType === "text/event-stream") {
      return head.contentEncoding === "";
    }
    const error = statusError(settings.name, head, hasSession());
    if (error.code === "backend_session_lost") {
      lost(error);
    } else if (status < 500 && error.code !== "backend_rate_limited") {
      this.#phase = "closed";
      // Not offering the stream is normal and says nothing about the backend's health.
      if (status !== 405 && status !== 404) {
        settings.logger.warn("backend refuses its notification stream", {
          backend: settings.name,
          status,
        });
      }
    }
    return false;
  }

  #read(parser: SseParser, chunk: Buffer): void {
    if (this.#phase !== "open") return;
    const { settings, receive } = this.#options;
    // An event over its cap throws out of here, which breaks the stream: it is then opened again.
    for (const { id, event, data, retry } of parser.push(chunk)) {
      if (id !== undefined && SENDABLE_ID.test(id)) this.#lastEventId = id;
      if (retry !== undefined) this.#requestedRetryMs = retry;
      if (data.length === 0 || (event !== undefined && event !== "message")) continue;
      this.#failures = 0;
      const fault = readMessages(data, settings.limits.jsonDepth, (message) => {
        if (message.message.method !== undefined && this.#phase === "open") receive(message);
      });
      if (fault !== undefined) {
        settings.logger.debug("backend sent a message that is ignored", {
          backend: settings.name,
          reason: fault.sentence,
        });
      }
    }
  }

  #broke(code: string, wasStream: boolean): void {
    this.#abort = undefined;
    if (this.#phase !== "open") return;
    const { settings } = this.#options;
    this.#phase = "waiting";
    const delayMs = this.#retryDelayMs(wasStream);
    this.#failures += 1;
    settings.logger.debug("notification stream of the backend ended", {
      backend: settings.name,
      code,
      delayMs,
    });
    this.#retry = DEADLINES.add(delayMs, () => {
      if (this.#phase === "waiting") this.#connect();
    });
  }

  /** A backend that ends its streams may say when to come back; one that cannot be had is left alone longer. */
  #retryDelayMs(wasStream: boolean): number {
    const stepMs = MIN_RETRY_MS * 2 ** Math.min(this.#failures, 10);
    const requestedMs = this.#requestedRetryMs ?? 0;
    const delayMs = wasStream && requestedMs > 0 ? requestedMs : Math.max(requestedMs, stepMs);
    return Math.min(Math.max(delayMs, MIN_RETRY_MS), MAX_RETRY_MS);
  }
}
