import type { ServerResponse } from "node:http";
import type { VmcpError } from "../../domain/errors.ts";
import type { Logger } from "../../domain/logger.ts";
import { encodeError } from "../../mcp/json-rpc.ts";
import { formatSseEvent } from "../../mcp/sse.ts";
import { toJsonRpcError } from "../../mcp/wire-errors.ts";
import { writeError } from "../http-errors.ts";
import { writeLoneAnswer } from "../lone-answer.ts";
import type { OpenStreams } from "../open-streams.ts";
import { writePage } from "../page-answer.ts";
import { EVENT_STREAM_HEADERS } from "../rev-2025-11-25/event-log.ts";

export interface AnswerOutletOptions {
  readonly streams: OpenStreams;
  /** Bytes that may wait for one slow reader. */
  readonly streamBufferBytes: number;
  readonly logger: Logger;
}

/** Who hears what becomes of the reader. */
export interface OutletListener {
  /** The reader can take more. */
  readonly drained: () => void;
  /** The client closed its end before the answer was there. */
  readonly closed: () => void;
}

/**
 * The answer to one POST. Alone it is JSON; with messages before it, it is an event stream, which cannot be taken up
 * again where it was cut.
 */
export class AnswerOutlet {
  readonly #response: ServerResponse;
  readonly #idJson: string;
  readonly #options: AnswerOutletOptions;
  #isStream = false;
  #isOver = false;

  constructor(response: ServerResponse, idJson: string, options: AnswerOutletOptions) {
    this.#response = response;
    this.#idJson = idJson;
    this.#options = options;
  }

  /** From now on the listener hears of the reader. One that is gone already is told of at once. */
  listen({ drained, closed }: OutletListener): void {
    if (this.#response.destroyed) {
      this.#close(closed);
      return;
    }
    this.#response.on("drain", drained);
    this.#response.on("close", () => this.#close(closed));
  }

  /** Sends one message before the answer. False asks to wait for `drained`; what comes nevertheless may be lost. */
  send(message: Buffer): boolean {
    if (this.#isOver || this.#response.destroyed) return true;
    this.begin();
    const { streamBufferBytes } = this.#options;
    if (this.#response.writableNeedDrain && this.#response.writableLength > streamBufferBytes) {
      return false;
    }
    return this.#response.write(formatSseEvent({ data: message }));
  }

  /** Makes the answer an event stream, whose head leaves now. */
  begin(): void {
    if (this.#isStream || this.#isOver || this.#response.destroyed) return;
    this.#isStream = true;
    this.#response.writeHead(200, EVENT_STREAM_HEADERS).flushHeaders();
    this.#options.streams.add(this.#response);
  }

  /** Ends with the answer; `status` is that of one which stands alone. */
  end(answer: Buffer, status: 200 | 400 = 200): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isStream) this.#response.end(formatSseEvent({ data: answer }));
    else if (status === 200) writeLoneAnswer(this.#response, answer);
    else {
      const headers = { "content-type": "application/json", "content-length": answer.length };
      this.#response.writeHead(status, headers).end(answer);
    }
  }

  /** Ends with a page of a list, which nothing comes before; `members` are what the revision adds to it. */
  endWithPage(page: Buffer, members: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    writePage(this.#response, page, { idJson: this.#idJson, members });
  }

  fail(error: VmcpError): void {
    if (this.#isOver) return;
    if (this.#isStream) {
      this.end(encodeError(this.#idJson, toJsonRpcError(error)));
      return;
    }
    this.#isOver = true;
    writeError(this.#response, error, this.#options.logger, this.#idJson);
  }

  #close(closed: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    closed();
  }
}
