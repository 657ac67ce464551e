import type { ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { serveRequest } from "../../gateway/virtual-server.ts";
import type { AnswerSink, Exchange } from "../../mcp/exchange.ts";
import {
  parseInbound,
  type InboundRequest,
  type MessageLimits,
} from "../../mcp/inbound-message.ts";
import { encodeError } from "../../mcp/json-rpc.ts";
import { scanElements } from "../../mcp/json-spans.ts";
import { toJsonRpcError } from "../../mcp/wire-errors.ts";
import type { EdgeSession } from "../../session/edge-session.ts";
import { RESUME_WINDOW_MS } from "../answer-writer.ts";
import type { EventLog, EventStream } from "../rev-2025-11-25/event-log.ts";
import type { EventLogs } from "../rev-2025-11-25/event-logs.ts";

/** Only sessions of this revision know batches: they came with it and left with the next one. */
const BATCH_REVISION = "2025-03-26";

/** Messages of one batch; each costs what a request of its own does. */
const MAX_MESSAGES = 100;

export interface BatchOptions {
  readonly messageLimits: MessageLimits;
  /** How long the calls of a batch go on for a client that went away. */
  readonly disconnectGraceMs: number;
  readonly eventLogs: EventLogs;
}

/**
 * Serves the messages of a batch as if each had come alone, and answers them together: as one JSON array, or
 * as an event stream from the moment a backend has something to say before its answer.
 *
 * Throws `invalid_request` for a session of another revision and for a batch that is too long. Source: MCP
 * 2025-03-26 transports, "Sending Messages to the Server"; JSON-RPC 2.0 section 6.
 */
export function serveBatch(
  session: EdgeSession,
  body: Buffer,
  response: ServerResponse,
  options: BatchOptions,
): void {
  if (session.client.revision !== BATCH_REVISION) {
    throw new VmcpError(
      "invalid_request",
      `Batches are part of ${BATCH_REVISION} only: send one message per request`,
    );
  }
  const elements = scanElements(body, body.indexOf(OPENING_BRACKET));
  if (elements.length > MAX_MESSAGES) {
    throw new VmcpError("invalid_request", `A batch may hold ${MAX_MESSAGES} messages at most`);
  }
  const answers = new BatchAnswers(
    response,
    options.eventLogs.of(session),
    options.disconnectGraceMs,
  );
  for (const { valueStart, valueEnd } of elements) {
    serveElement(session, body.subarray(valueStart, valueEnd), answers, options);
  }
  answers.allServed();
}

function serveElement(
  session: EdgeSession,
  bytes: Buffer,
  answers: BatchAnswers,
  { messageLimits }: BatchOptions,
): void {
  const message = parseInbound(bytes, messageLimits);
  switch (message.kind) {
    case "request":
      answers.serve(session, message);
      return;
    case "notification":
      session.notify(message);
      return;
    case "response":
      session.answer(message);
      return;
    case "batch":
      answers.refuse(undefined, new VmcpError("invalid_request", "A batch holds no batches"));
      return;
    case "invalid":
      answers.refuse(message.idJson, message.error);
  }
}

/** The answers to one batch, written when the last of them is there or when the first event comes. */
class BatchAnswers {
  readonly #response: ServerResponse;
  readonly #events: EventLog;
  readonly #exchanges: Exchange[] = [];
  readonly #held: Buffer[] = [];
  #missing = 0;
  #areAllServed = false;
  #stream: EventStream | undefined;
  #abandoned: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, events: EventLog, disconnectGraceMs: number) {
    this.#response = response;
    this.#events = events;
    const gone = (): void => {
      if (this.#stream === undefined && this.#missing > 0) this.#abandonAfter(disconnectGraceMs);
    };
    // One that went away already tells nobody any more; its calls are still about to begin.
    if (response.destroyed) queueMicrotask(gone);
    else response.on("close", gone);
  }

  serve(session: EdgeSession, request: InboundRequest): void {
    this.#missing += 1;
    try {
      const reply = serveRequest(session, request, this.#sink(request.idJson));
      if (reply.kind === "exchange") this.#exchanges.push(reply.exchange);
      else this.#answer(reply.bytes);
    } catch (error) {
      this.#answer(encodeError(request.idJson, toJsonRpcError(error)));
    }
  }

  refuse(idJson: string | undefined, error: VmcpError): void {
    this.#missing += 1;
    this.#answer(encodeError(idJson, toJsonRpcError(error)));
  }

  allServed(): void {
    this.#areAllServed = true;
    if (this.#missing === 0) this.#finish();
  }

  #sink(idJson: string): AnswerSink {
    return {
      event: ({ bytes, message }) => {
        if (this.#stream === undefined && this.#response.destroyed) return true;
        const stream = this.#beginStream();
        if (message.id === undefined && stream.isFull) return false;
        return stream.write(bytes);
      },
      answer: ({ bytes }) => this.#answer(bytes),
      fail: (error) => this.#answer(encodeError(idJson, toJsonRpcError(error))),
      cancelled: () => this.#answer(undefined),
    };
  }

  #answer(bytes: Buffer | undefined): void {
    this.#missing -= 1;
    if (bytes !== undefined) {
      if (this.#stream === undefined) this.#held.push(bytes);
      else this.#stream.write(bytes);
    }
    if (this.#areAllServed && this.#missing === 0) this.#finish();
  }

  #beginStream(): EventStream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = this.#events.open(this.#response, {
      drained: () => this.#resumeAll(),
      cut: () => this.#abandonAfter(RESUME_WINDOW_MS),
      resumed: () => clearTimeout(this.#abandoned),
    });
    this.#stream = stream;
    for (const bytes of this.#held.splice(0)) stream.write(bytes);
    return stream;
  }

  #resumeAll(): void {
    for (const exchange of this.#exchanges) exchange.resume();
  }

  #abandonAfter(ms: number): void {
    this.#resumeAll();
    this.#abandoned = setTimeout(() => {
      for (const exchange of this.#exchanges) exchange.cancel("The client disconnected");
    }, ms).unref();
  }

  #finish(): void {
    clearTimeout(this.#abandoned);
    if (this.#stream !== undefined) {
      this.#stream.end();
      return;
    }
    if (this.#held.length === 0) {
      this.#response.writeHead(202, { "content-length": 0 }).end();
      return;
    }
    const body = Buffer.from(`[${this.#held.map((bytes) => bytes.toString()).join(",")}]`);
    this.#response
      .writeHead(200, { "content-type": "application/json", "content-length": body.length })
      .end(body);
  }
}

const OPENING_BRACKET = 0x5b;
