import {
  Server,
  WebStandardStreamableHTTPServerTransport,
  type JSONRPCMessage,
  type ServerCapabilities,
} from "@modelcontextprotocol/server";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import { initializeResult, type ServerInfo } from "../gateway/initialize.ts";
import type { InboundMessage, InboundRequest } from "../mcp/inbound-message.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import { SESSIONFUL_REVISIONS } from "../mcp/revisions.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { relayCall } from "./relay-call.ts";

export interface SdkConnectionOptions {
  readonly session: EdgeSession;
  readonly serverInfo: ServerInfo;
  readonly logger: Logger;
  /** Called when the client ends the session; the reply waits for it. */
  readonly onDeleted: () => Promise<void>;
  /** Called once, when the transport has closed, whatever closed it. */
  readonly onClosed: () => void;
}

/** A request of the client that the transport has, with what its bytes say. */
interface RelayedCall {
  readonly request: InboundRequest;
  /** Aborts when nobody can receive the answer any more. */
  readonly lost: AbortController;
  isStarted: boolean;
}

/** A client that went away may still come back for a moment; then its call is cancelled. */
const DISCONNECT_GRACE_MS = 5_000;

/** Newest first: the SDK's server offers the first one where it does not know what the client asked for. */
const REVISIONS_OFFERED = SESSIONFUL_REVISIONS.toReversed();

/**
 * One session behind one SDK server and its transport.
 *
 * The SDK does the handshake, the headers and the streams. Every other request is served from the client's own
 * bytes, and answers go through without the SDK's schemas, which would refuse or reshape what they do not know.
 */
export class SdkConnection implements AsyncDisposable {
  readonly session: EdgeSession;
  readonly #server: Server;
  readonly #transport: WebStandardStreamableHTTPServerTransport;
  readonly #calls = new Map<RequestId, RelayedCall>();

  private constructor(options: SdkConnectionOptions) {
    const { session, serverInfo, logger, onDeleted, onClosed } = options;
    this.session = session;
    this.#server = createServer(session, serverInfo);
    this.#server.fallbackRequestHandler = async (_request, { mcpReq }) =>
      this.#serve(mcpReq.id, mcpReq.signal);
    // The SDK's server is no event target. The error's text may quote what the client sent.
    // oxlint-disable-next-line unicorn/prefer-add-event-listener
    this.#server.onerror = () => logger.debug("the SDK's server reported an error");
    // oxlint-disable-next-line unicorn/prefer-add-event-listener
    this.#server.onclose = onClosed;
    this.#transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => session.id,
      onsessionclosed: onDeleted,
    });
  }

  static async open(options: SdkConnectionOptions): Promise<SdkConnection> {
    const connection = new SdkConnection(options);
    await connection.#server.connect(connection.#transport);
    return connection;
  }

  /** Whether the transport has accepted `initialize`. */
  get isInitialized(): boolean {
    return this.#transport.sessionId !== undefined;
  }

  /** Takes a GET or DELETE. */
  async handle(head: Request): Promise<Response> {
    return this.#transport.handleRequest(head);
  }

  /**
   * Takes the one message of a POST. Throws `invalid_request` for an id that is in flight, which the SDK would let
   * take the first one's answer.
   */
  async handleMessage(head: Request, message: InboundMessage): Promise<Response> {
    if (message.kind === "invalid") throw message.error;
    if (message.kind === "batch") {
      throw new VmcpError(
        "invalid_request",
        "Send one message per request: batches are not served",
      );
    }
    const isCall = message.kind === "request" && this.isInitialized;
    if (isCall) this.#expect(message);
    // The reading has seen to it that this is JSON.
    const parsedBody = JSON.parse(message.bytes.toString()) as unknown;
    const reply = await this.#transport.handleRequest(head, { parsedBody });
    if (isCall && reply.status !== OK) this.#calls.delete(message.id);
    if (reply.status === ACCEPTED && message.kind === "notification") this.session.notify(message);
    if (reply.status === ACCEPTED && message.kind === "response") this.session.answer(message);
    return reply;
  }

  /** Tells how the reply to a request ended. A call that nobody waits for is cancelled after a grace. */
  replyEnded(id: RequestId, isComplete: boolean): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    if (isComplete || !call.isStarted) {
      this.#calls.delete(id);
      return;
    }
    const grace = setTimeout(() => call.lost.abort(), DISCONNECT_GRACE_MS).unref();
    call.lost.signal.addEventListener("abort", () => clearTimeout(grace), { once: true });
  }

  /** What answers no request goes to the transport's GET stream until this is disposed of. */
  attachStream(): Disposable {
    return this.session.attachStream({
      send: (bytes) => {
        this.#send(JSON.parse(bytes.toString()));
        return true;
      },
      end: () => {},
    });
  }

  /** Closes the transport with all its streams. Safe to repeat. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }

  #expect(request: InboundRequest): void {
    if (this.#calls.has(request.id)) {
      throw new VmcpError("invalid_request", "A request with this id is already in flight");
    }
    this.#calls.set(request.id, { request, lost: new AbortController(), isStarted: false });
  }

  async #serve(id: RequestId, cancelled: AbortSignal): Promise<JsonObject> {
    const call = this.#calls.get(id);
    if (call === undefined) throw new VmcpError("internal", "A request came without its bytes");
    call.isStarted = true;
    const cancel = (): void => call.lost.abort(cancelled.reason);
    cancelled.addEventListener("abort", cancel, { once: true });
    try {
      return await relayCall(this.session, call.request, call.lost.signal, (message) =>
        this.#send(message, id),
      );
    } finally {
      cancelled.removeEventListener("abort", cancel);
      // Ends the grace, if there is one.
      call.lost.abort();
      this.#calls.delete(id);
      if (cancelled.aborted) this.#forget(id);
    }
  }

  /** The SDK answers no cancelled request, and would keep its stream open and its id for as long as the session. */
  #forget(id: RequestId): void {
    this.#transport.closeSSEStream(id);
    this.#send({ jsonrpc: "2.0", id, result: {} }, id);
  }

  #send(message: unknown, relatedRequestId?: RequestId): void {
    // What backends and the gateway send was read as a JSON-RPC message before.
    const sent = this.#transport.send(message as JSONRPCMessage, {
      ...(relatedRequestId !== undefined && { relatedRequestId }),
    });
    // It refuses where the stream has gone, and then there is nobody to tell.
    sent.catch(() => {});
  }
}

const OK = 200;
const ACCEPTED = 202;

function createServer(session: EdgeSession, serverInfo: ServerInfo): Server {
  const { capabilities, instructions } = initializeResult(session, serverInfo);
  const server = new Server(serverInfo, {
    // The gateway declares what the protocol knows.
    capabilities: capabilities as ServerCapabilities,
    ...(typeof instructions === "string" && { instructions }),
    supportedProtocolVersions: REVISIONS_OFFERED,
  });
  // The SDK answers these without asking, and the session would not hear of them.
  for (const method of ["ping", "logging/setLevel"]) server.removeRequestHandler(method);
  return server;
}
