import type { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type {
  RequestControl,
  RequestSender,
  ResponseHandler,
} from "../../lib/http-client/request-sender.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { SseParser } from "../../mcp/sse.ts";
import { codeOf } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { readMessages } from "../read-messages.ts";
import { readHead, statusError } from "./response-head.ts";
import { StreamPosition } from "./stream-position.ts";

/** How long calls wait for a stream that is being opened: one that takes longer delays nobody. */
const MAX_OPENING_MS = 1_000;

export interface NotificationStreamOptions {
  readonly settings: BackendSettings;
  readonly streams: RequestSender;
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
 * Opened on demand, and again after a pause when it breaks, where it broke. A backend that offers none (405) is not asked again; nor is one that refuses.
 */
export class NotificationStream {
  readonly #options: NotificationStreamOptions;
  readonly #position: StreamPosition;
  #phase: "idle" | "open" | "waiting" | "closed" = "idle";
  #control: RequestControl | undefined;
  #retry: Deadline | undefined;
  #opening: Deadline | undefined;
  #whenOpened: (() => void)[] = [];

  constructor(options: NotificationStreamOptions) {
    this.#options = options;
    this.#position = new StreamPosition(options.settings.timeouts);
  }

  /** Safe to repeat. */
  open(): void {
    if (this.#phase === "idle") this.#connect();
  }

  /** The backend was asked for the stream and has not answered: what it wants to send there now is lost. */
  get isOpening(): boolean {
    return this.#opening !== undefined;
  }

  /** Calls back once the backend has answered, in whichever way, or has taken too long. */
  whenOpened(callback: () => void): void {
    this.#whenOpened.push(callback);
  }

  close(): void {
    this.#phase = "closed";
    this.#opened();
    this.#retry?.cancel();
    this.#control?.abort();
  }

  #connect(): void {
    const { streams, path } = this.#options;
    this.#phase = "open";
    this.#opening ??= DEADLINES.add(MAX_OPENING_MS, () => this.#opened());
    const headers = this.#options.headers();
    const { lastEventId } = this.#position;
    if (lastEventId !== undefined) headers.push("last-event-id", lastEventId);
    streams.dispatch({ path, method: "GET", headers }, this.#handler());
  }

  #handler(): ResponseHandler {
    const { sseEventBytes } = this.#options.settings.limits;
    const parser = new SseParser({ maxEventBytes: sseEventBytes });
    let isStream = false;
    return {
      onConnect: (control) => {
        if (this.#phase === "closed") throw new Error("nobody wants this stream any longer");
        this.#control = control;
      },
      onHeaders: (status, responseHeaders) => {
        isStream = this.#accept(status, responseHeaders);
        this.#opened();
        if (!isStream) this.#control?.abort();
      },
      onData: (chunk) => {
        if (isStream) this.#read(parser, chunk);
        return true;
      },
      onComplete: () => this.#broke("", isStream),
      onError: (thrown) => this.#broke(codeOf(thrown), isStream),
    };
  }

  #accept(status: number, headers: readonly string[]): boolean {
    const { settings, hasSession, lost } = this.#options;
    const head = readHead(status, headers);
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
    for (const passed of parser.push(chunk)) {
      this.#position.passed(passed);
      const { event = "message", data } = passed;
      if (data.length === 0 || event !== "message") continue;
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

  #opened(): void {
    this.#opening?.cancel();
    this.#opening = undefined;
    const callbacks = this.#whenOpened;
    this.#whenOpened = [];
    for (const callback of callbacks) callback();
  }

  #broke(code: string, wasStream: boolean): void {
    this.#control = undefined;
    this.#opened();
    if (this.#phase !== "open") return;
    const { settings } = this.#options;
    this.#phase = "waiting";
    const delayMs = this.#position.nextDelayMs(wasStream);
    settings.logger.debug("notification stream of the backend ended", {
      backend: settings.name,
      code,
      delayMs,
    });
    this.#retry = DEADLINES.add(delayMs, () => {
      if (this.#phase === "waiting") this.#connect();
    });
  }
}
