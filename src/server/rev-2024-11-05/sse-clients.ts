import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { isSameIdentity, type Identity } from "../../domain/identity.ts";
import { DEADLINES } from "../../lib/deadlines.ts";
import { parseInbound, type MessageLimits } from "../../mcp/inbound-message.ts";
import { formatSseEvent } from "../../mcp/sse.ts";
import { readBody } from "../body.ts";
import type { FailureLimiter } from "../failure-limiter.ts";
import { refuse } from "../http-errors.ts";
import { requireAcceptsEvents, requireJsonBody } from "../media-types.ts";
import type { OpenStreams } from "../open-streams.ts";
import { noteForeign } from "../rev-2025-11-25/sessions.ts";
import { PipedSession, type ClientPipe, type PipedSessionOptions } from "../piped-session.ts";

export interface SseClientsOptions extends Omit<PipedSessionOptions, "identity"> {
  readonly streams: OpenStreams;
  readonly maxRequestBytes: number;
  readonly messageLimits: MessageLimits;
  /** Bytes that may wait for one slow reader before its requests are refused. */
  readonly streamBufferBytes: number;
  /** A stream on which no session is asked for within this time is closed. Default 60 s. */
  readonly openingDeadlineMs?: number;
  /** Counts requests that name no stream. */
  readonly failures?: Pick<FailureLimiter, "judge"> | undefined;
  /** Makes the name of a stream, by which clients post to it. Default: a random UUID. */
  readonly mintId?: () => string;
}

/** Where a client of 2024-11-05 opens its stream, and where it posts what it has to say. */
export const SSE_PATH = "/sse";
export const MESSAGES_PATH = "/messages";

const OPENING_DEADLINE_MS = 60_000;

const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

interface SseClient {
  readonly identity: Identity;
  readonly session: PipedSession;
  readonly pipe: ClientPipe;
}

/**
 * The clients that only know HTTP+SSE: a stream that carries everything towards them, and the address, told in
 * its first event, to which they post. A session lasts as long as its stream.
 *
 * Source: MCP 2024-11-05 transports, "HTTP with SSE".
 */
export class SseClients {
  readonly #options: SseClientsOptions;
  readonly #clients = new Map<string, SseClient>();

  constructor(options: SseClientsOptions) {
    this.#options = options;
  }

  /** Opens a stream. */
  async handleGet(
    request: IncomingMessage,
    response: ServerResponse,
    identity: Identity,
  ): Promise<void> {
    try {
      requireAcceptsEvents(request);
      this.#open(response, identity);
      // A body of a GET means nothing; unread, it would keep the client's end of the stream from being noticed.
      request.resume();
    } catch (error) {
      await refuse(request, response, error, this.#options);
    }
  }

  /** Takes one message of a client. The answer to it leaves on the client's stream. */
  async handlePost(
    request: IncomingMessage,
    response: ServerResponse,
    identity: Identity,
  ): Promise<void> {
    let idJson: string | undefined;
    try {
      requireJsonBody(request);
      const { maxRequestBytes, messageLimits } = this.#options;
      const body = await readBody(request, response, maxRequestBytes);
      const message = parseInbound(body, messageLimits);
      if (message.kind === "request" || message.kind === "invalid") idJson = message.idJson;
      const { session, pipe } = this.#clientOf(request, identity);
      if (message.kind === "invalid") throw message.error;
      if (message.kind === "batch") {
        throw new VmcpError("invalid_request", "Send one message per request");
      }
      if (message.kind === "request" && pipe.isFull) {
        throw new VmcpError("overloaded", "Read what waits on the stream first");
      }
      response.writeHead(202, { "content-length": 0 }).end();
      session.receive(message);
    } catch (error) {
      await refuse(request, response, error, { ...this.#options, idJson });
    }
  }

  #open(response: ServerResponse, identity: Identity): void {
    const id = this.#options.mintId?.() ?? randomUUID();
    const pipe = createPipe(response, this.#options.streamBufferBytes);
    const { remoteAddress } = response.req.socket;
    const options = { ...this.#options, identity, address: remoteAddress };
    const session = new PipedSession(pipe, options);
    this.#clients.set(id, { identity, session, pipe });
    const deadline = DEADLINES.add(this.#options.openingDeadlineMs ?? OPENING_DEADLINE_MS, () => {
      if (!session.isOpened) response.end();
    });
    response.on("drain", () => session.drained());
    response.on("close", () => {
      deadline.cancel();
      this.#clients.delete(id);
      void session.abandon();
    });
    this.#options.streams.add(response);
    response.writeHead(200, EVENT_STREAM_HEADERS);
    const address = Buffer.from(`${MESSAGES_PATH}?sessionId=${id}`);
    response.write(formatSseEvent({ event: "endpoint", data: address }));
  }

  /** A foreign stream is answered for as an unknown one. */
  #clientOf(request: IncomingMessage, identity: Identity): SseClient {
    const { url = "" } = request;
    const query = url.indexOf("?");
    const id = query === -1 ? null : new URLSearchParams(url.slice(query)).get("sessionId");
    if (id === null || id === "") {
      throw new VmcpError(
        "session_required",
        `The sessionId is missing: open a stream with GET ${SSE_PATH} and post to the address it begins with`,
      );
    }
    const client = this.#clients.get(id);
    if (client !== undefined && isSameIdentity(client.identity, identity)) {
      client.session.identify(identity);
      return client;
    }
    if (client !== undefined) noteForeign(this.#options.sessions, request, id, identity);
    throw new VmcpError(
      "session_not_found",
      `Session not found; open a new stream with GET ${SSE_PATH}`,
    );
  }
}

function createPipe(response: ServerResponse, maxBytes: number): ClientPipe {
  return {
    send: (data) => {
      if (response.writableEnded || response.destroyed) return true;
      return response.write(formatSseEvent({ event: "message", data }));
    },
    get isFull() {
      return response.writableNeedDrain && response.writableLength > maxBytes;
    },
    end: () => void response.end(),
  };
}
