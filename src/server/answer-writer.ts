import type { ServerResponse } from "node:http";
import type { VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import { formatSseEvent } from "../mcp/sse.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import { writeError } from "./http-errors.ts";
import type { OpenStreams } from "./open-streams.ts";

export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** Whether so much waits for a slow reader that no more should be added; a `drain` follows. */
export function isFull(response: ServerResponse, maxBytes: number): boolean {
  return response.writableNeedDrain && response.writableLength > maxBytes;
}

export interface AnswerOptions {
  /** A client that went away may still come back for a moment; after it the call is cancelled. */
  readonly disconnectGraceMs: number;
  /** Bytes that may wait for a slow reader before notifications are dropped. */
  readonly streamBufferBytes: number;
  readonly streams: OpenStreams;
  readonly logger: Logger;
}

/**
 * Writes the answer to one POST. The head leaves with the first message: a lone answer is JSON, anything
 * before it makes the answer an event stream.
 *
 * A connection that closes early is no cancellation in the sessionful revisions ("Sending Messages" in the
 * transports chapter), but this answer can be delivered on no other stream: after a grace the call is cancelled.
 */
export class AnswerWriter implements AnswerSink {
  readonly #response: ServerResponse;
  readonly #idJson: string;
  readonly #options: AnswerOptions;
  #exchange: Exchange | undefined;
  #isStream = false;
  #isOver = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, idJson: string, options: AnswerOptions) {
    this.#response = response;
    this.#idJson = idJson;
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
    if (this.#isOver || this.#response.destroyed) return true;
    if (!this.#isStream) this.#beginStream();
    // A backend that cannot be paused goes on sending; a notification may be lost, a request may not.
    if (message.id === undefined && isFull(this.#response, this.#options.streamBufferBytes)) {
      return false;
    }
    return this.#response.write(formatSseEvent({ data: bytes }));
  }

  answer({ bytes }: BackendMessage): void {
    this.#end(bytes);
  }

  fail(error: VmcpError): void {
    if (this.#isStream) {
      this.#end(encodeError(this.#idJson, toJsonRpcError(error)));
      return;
    }
    this.#over();
    writeError(this.#response, error, this.#options.logger, this.#idJson);
  }

  /** A call that the client cancelled gets no answer, but its POST has to end: with a stream that holds none. */
  cancelled(): void {
    this.#over();
    if (!this.#isStream) this.#beginStream();
    this.#response.end();
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#grace);
  }

  #end(bytes: Buffer): void {
    this.#over();
    if (this.#isStream) {
      this.#response.end(formatSseEvent({ data: bytes }));
      return;
    }
    this.#response
      .writeHead(200, { "content-type": "application/json", "content-length": bytes.length })
      .end(bytes);
  }

  #beginStream(): void {
    this.#isStream = true;
    this.#response.on("drain", () => this.#exchange?.resume());
    this.#response.writeHead(200, EVENT_STREAM_HEADERS);
    this.#options.streams.add(this.#response);
  }

  #closed(): void {
    if (this.#isOver) return;
    // Nobody reads any more: what still comes must not wait for a drain that never happens.
    this.#exchange?.resume();
    this.#grace = setTimeout(() => {
      this.#isOver = true;
      this.#exchange?.cancel("The client disconnected");
    }, this.#options.disconnectGraceMs).unref();
  }
}
