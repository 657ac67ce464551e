import { VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import { initializeResult, type ServerInfo } from "../gateway/initialize.ts";
import { serveRequest } from "../gateway/virtual-server.ts";
import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import type { InboundMessage, InboundRequest } from "../mcp/inbound-message.ts";
import { encodeError, encodeResult } from "../mcp/json-rpc.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import type { AttachedStream, EdgeSession } from "../session/edge-session.ts";
import { openSession, type EdgeSessions } from "./rev-2025-11-25/sessions.ts";

/** The one way to a client on which everything flows: answers, and what answers nothing. */
export interface ClientPipe {
  /** Sends one JSON-RPC message. False asks for no more until `drained` is called. */
  send(message: Buffer): boolean;
  /** So much waits for a slow reader that what may be lost should not be added. */
  readonly isFull: boolean;
  /** The session has ended; nothing follows. */
  end(): void;
}

export interface PipedSessionOptions {
  readonly sessions: EdgeSessions;
  readonly identity: Identity;
  /** Where the client is; absent for one that is not on the network. */
  readonly address?: string | undefined;
  readonly serverInfo: ServerInfo;
  readonly logger: Logger;
}

/** Messages that may wait until the session has been made. */
const MAX_WAITING = 100;

/**
 * One session of a client whose messages and ours flow through one pipe, as over stdio and HTTP+SSE.
 *
 * `initialize` opens the session; what comes while it is being made waits for it, and what comes before is
 * refused. Batches are refused.
 */
export class PipedSession {
  readonly #pipe: ClientPipe;
  readonly #options: PipedSessionOptions;
  readonly #gone = new AbortController();
  readonly #exchanges = new Set<Exchange>();
  readonly #waiting: InboundMessage[] = [];
  #session: EdgeSession | undefined;
  #attached: AttachedStream | undefined;
  #opening: Promise<void> | undefined;

  constructor(pipe: ClientPipe, options: PipedSessionOptions) {
    this.#pipe = pipe;
    this.#options = options;
  }

  /** The client has proved anew who it is. */
  identify(identity: Identity): void {
    this.#session?.identify?.(identity);
  }

  /** Whether the session has been asked for; it may still be in the making. */
  get isOpened(): boolean {
    return this.#session !== undefined || this.#opening !== undefined;
  }

  /** Takes one message of the client. Never throws: what is wrong with it is answered. */
  receive(message: InboundMessage): void {
    if (this.#gone.signal.aborted) return;
    if (this.#opening === undefined) this.#dispatch(message);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
    else this.#refuse(message, new VmcpError("overloaded", "Wait for the answer to initialize"));
  }

  /** The reader can take more. */
  drained(): void {
    for (const exchange of this.#exchanges) exchange.resume();
    this.#attached?.flush();
  }

  /** The client sends nothing more: what it asked for is answered, then the session ends. Never rejects. */
  async finish(): Promise<void> {
    // What waited may have opened the session once more.
    // oxlint-disable-next-line no-await-in-loop
    while (this.#opening !== undefined) await this.#opening;
    await this.#terminate();
  }

  /** Nobody reads any more: calls are cancelled and the session ends. Never rejects. */
  async abandon(): Promise<void> {
    this.#waiting.length = 0;
    this.#gone.abort(new VmcpError("cancelled", "The client disconnected"));
    for (const exchange of this.#exchanges) exchange.cancel("The client disconnected");
    this.#exchanges.clear();
    await this.finish();
  }

  async #terminate(): Promise<void> {
    if (this.#session === undefined) return;
    try {
      await this.#options.sessions.terminate(this.#session.id);
    } catch (error) {
      const { message } = VmcpError.from(error);
      this.#options.logger.warn("could not end a session", { error: message });
    }
  }

  #dispatch(message: InboundMessage): void {
    switch (message.kind) {
      case "request":
        this.#serve(message);
        return;
      case "notification":
        this.#session?.notify(message);
        return;
      case "response":
        this.#session?.answer(message);
        return;
      case "batch":
        this.#refuse(message, new VmcpError("invalid_request", "Send one message at a time"));
        return;
      case "invalid":
        this.#refuse(message, message.error);
    }
  }

  #serve(request: InboundRequest): void {
    const session = this.#session;
    if (session !== undefined) this.#forward(session, request);
    else if (request.method === "initialize") this.#opening = this.#open(request);
    else this.#refuse(request, new VmcpError("session_required", "Send initialize first"));
  }

  #forward(session: EdgeSession, request: InboundRequest): void {
    let exchange: Exchange | undefined;
    const over = (): void => {
      if (exchange !== undefined) this.#exchanges.delete(exchange);
    };
    const sink: AnswerSink = {
      event: ({ bytes, message }) => {
        // A backend that cannot be paused goes on sending; a notification may be lost, a request may not.
        if (message.id === undefined && this.#pipe.isFull) return false;
        return this.#pipe.send(bytes);
      },
      answer: ({ bytes }) => {
        over();
        this.#pipe.send(bytes);
      },
      fail: (error) => {
        over();
        this.#refuse(request, error);
      },
      cancelled: over,
    };
    try {
      const reply = serveRequest(session, request, sink);
      if (reply.kind === "answer") this.#pipe.send(reply.bytes);
      else {
        exchange = reply.exchange;
        this.#exchanges.add(exchange);
      }
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  async #open(request: InboundRequest): Promise<void> {
    try {
      const { sessions, identity, address } = this.#options;
      const opening = { signal: this.#gone.signal, address };
      const session = await openSession(sessions, request, identity, opening);
      // Nothing leaves on it before the client has sent `notifications/initialized`.
      this.#attached = session.attachStream({
        send: (message) => {
          if (this.#pipe.isFull) return false;
          this.#pipe.send(message);
          return true;
        },
        end: () => this.#pipe.end(),
      });
      const result = JSON.stringify(initializeResult(session, this.#options.serverInfo));
      this.#session = session;
      this.#pipe.send(encodeResult(request.idJson, result));
    } catch (error) {
      this.#refuse(request, error);
    }
    this.#opening = undefined;
    this.#dispatchWaiting();
  }

  #dispatchWaiting(): void {
    while (this.#opening === undefined) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#dispatch(message);
    }
  }

  /** Notifications and answers get none themselves, whatever is wrong. */
  #refuse(message: InboundMessage, error: unknown): void {
    if (message.kind === "notification" || message.kind === "response") return;
    const idJson = message.kind === "batch" ? undefined : message.idJson;
    this.#pipe.send(encodeError(idJson, toJsonRpcError(error)));
  }
}
