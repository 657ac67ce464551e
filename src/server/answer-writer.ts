import type { ServerResponse } from "node:http";
import type { VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import { writeError } from "./http-errors.ts";
import { writeLoneAnswer } from "./lone-answer.ts";
import {
  EVENT_STREAM_HEADERS,
  type EventLog,
  type EventStream,
} from "./rev-2025-11-25/event-log.ts";

export interface AnswerOptions {
  /** A client that went away before its answer began may still come back for a moment. */
  readonly disconnectGraceMs: number;
  readonly logger: Logger;
}

/** A client whose stream was cut comes back within seconds or not at all. */
export const RESUME_WINDOW_MS = 60_000;

/**
 * Writes the answer to one POST. The head leaves with the first message: a lone answer is JSON, anything
 * before it makes the answer an event stream.
 *
 * A connection that closes early is no cancellation in the sessionful revisions ("Sending Messages" in the
 * transports chapter). A stream can be taken up again, so its call goes on for a minute.
 * An answer that has not begun can be delivered nowhere else: after a grace its call is cancelled.
 */
export class AnswerWriter implements AnswerSink {
  readonly #response: ServerResponse;
  readonly #idJson: string;
  readonly #events: () => EventLog;
  readonly #options: AnswerOptions;
  #exchange: Exchange | undefined;
  #stream: EventStream | undefined;
  #isOver = false;
  #abandoned: NodeJS.Timeout | undefined;

  constructor(
    response: ServerResponse,
    idJson: string,
    events: () => EventLog,
    options: AnswerOptions,
  ) {
    this.#response = response;
    this.#idJson = idJson;
    this.#events = events;
    this.#options = options;
  }

  /** Ties the answer to its call, so that a slow reader slows the backend and a lost one ends the call. */
  follow(exchange: Exchange): void {
    this.#exchange = exchange;
    // One that went away before its call began tells nobody any more.
    if (this.#response.destroyed) this.#closed();
    else this.#response.on("close", () => this.#closed());
  }

  event({ bytes, message }: BackendMessage): boolean {
    if (this.#isOver || (this.#stream === undefined && this.#response.destroyed)) return true;
    this.#stream ??= this.#beginStream();
    // A backend that cannot be paused goes on sending; a notification may be lost, a request may not.
    if (message.id === undefined && this.#stream.isFull) return false;
    return this.#stream.write(bytes);
  }

  answer({ bytes }: BackendMessage): void {
    this.#end(bytes);
  }

  fail(error: VmcpError): void {
    if (this.#stream !== undefined) {
      this.#end(encodeError(this.#idJson, toJsonRpcError(error)));
      return;
    }
    this.#over();
    writeError(this.#response, error, this.#options.logger, this.#idJson);
  }

  /** A call that the client cancelled gets no answer, but its POST has to end: with a stream that holds none. */
  cancelled(): void {
    this.#over();
    if (this.#stream === undefined) this.#response.writeHead(200, EVENT_STREAM_HEADERS).end();
    else this.#stream.end();
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#abandoned);
  }

  #end(bytes: Buffer): void {
    this.#over();
    if (this.#stream !== undefined) {
      this.#stream.write(bytes);
      this.#stream.end();
      return;
    }
    writeLoneAnswer(this.#response, bytes);
  }

  #beginStream(): EventStream {
    return this.#events().open(this.#response, {
      drained: () => this.#exchange?.resume(),
      cut: () => this.#abandonAfter(RESUME_WINDOW_MS),
      resumed: () => clearTimeout(this.#abandoned),
    });
  }

  #closed(): void {
    if (!this.#isOver && this.#stream === undefined) {
      this.#abandonAfter(this.#options.disconnectGraceMs);
    }
  }

  #abandonAfter(ms: number): void {
    // Nobody reads at the moment: what still comes must not wait for a drain that never happens.
    this.#exchange?.resume();
    this.#abandoned = setTimeout(() => {
      this.#over();
      this.#exchange?.cancel("The client disconnected");
    }, ms).unref();
  }
}
