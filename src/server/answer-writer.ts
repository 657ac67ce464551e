import type { ServerResponse } from "node:http";
import type { VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import { formatSseEvent } from "../mcp/sse.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import { writeError } from "./http-errors.ts";

/** A client that went away may still come back for a moment; then its call is cancelled. */
const DISCONNECT_GRACE_MS = 5_000;

export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

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
  readonly #logger: Logger;
  #exchange: Exchange | undefined;
  #isStream = false;
  #isOver = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, idJson: string, logger: Logger) {
    this.#response = response;
    this.#idJson = idJson;
    this.#logger = logger;
  }

  /** Ties the answer to its call, so that a slow reader slows the backend and a lost one ends the call. */
  follow(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#response.on("close", () => this.#closed());
  }

  event({ bytes }: BackendMessage): boolean {
    if (this.#isOver || this.#response.destroyed) return true;
    if (!this.#isStream) this.#beginStream();
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
    this.#isOver = true;
    clearTimeout(this.#grace);
    writeError(this.#response, error, this.#logger, this.#idJson);
  }

  #end(bytes: Buffer): void {
    this.#isOver = true;
    clearTimeout(this.#grace);
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
  }

  #closed(): void {
    if (this.#isOver) return;
    // Nobody reads any more: what still comes must not wait for a drain that never happens.
    this.#exchange?.resume();
    this.#grace = setTimeout(() => {
      this.#isOver = true;
      this.#exchange?.cancel("The client disconnected");
    }, DISCONNECT_GRACE_MS).unref();
  }
}
