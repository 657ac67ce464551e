import type { IncomingMessage, ServerResponse } from "node:http";
import {
  isInitializeRequest,
  isJsonContentType,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  validateHostHeader,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS, isSameIdentity, type Identity } from "../domain/identity.ts";
import { SILENT_LOGGER, type Logger } from "../domain/logger.ts";
import { readClientProfile, type ServerInfo } from "../gateway/initialize.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundMessage,
  type InboundRequest,
} from "../mcp/inbound-message.ts";
import type { ClientProfile } from "../session/backend-connection.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { readBody, toWebRequest, writeRefusal, writeReply } from "./node-http.ts";
import { SdkConnection } from "./sdk-connection.ts";
import { createSessionIds, type SessionIds, type SessionIdSource } from "./session-ids.ts";

/** What the handler needs of the session manager; `vmcp.sessions` is one. */
export interface SdkSessions extends SessionIdSource {
  createSession(
    id: string,
    request: {
      readonly identity: Identity;
      readonly client: ClientProfile;
      readonly signal: AbortSignal;
    },
  ): Promise<EdgeSession>;
  getMultiSession(id: string): EdgeSession | undefined;
  whenReady(id: string): Promise<EdgeSession>;
  onSessionClosed(listener: (id: string) => void): Disposable;
}

export interface SdkHandlerOptions {
  readonly sessions: SdkSessions;
  /** How the gateway introduces itself; `vmcp.serverInfo` is one. */
  readonly serverInfo: ServerInfo;
  /**
   * Who sends a request; called for each one. Authenticate before: what it throws answers 500. Default: anonymous.
   */
  readonly identify?: (request: IncomingMessage) => Identity | Promise<Identity>;
  /** Host names without port that requests may be addressed to. Default: those of loopback. */
  readonly allowedHostnames?: readonly string[];
  /** Host names without port of web pages that may call. Default: those of loopback. */
  readonly allowedOriginHostnames?: readonly string[];
  /** Bytes of one request. Default: 4 MiB. */
  readonly maxRequestBytes?: number;
  /** Default: nowhere. */
  readonly logger?: Logger;
}

/** A handler for `node:http`; disposing of it ends the sessions that it opened. */
export interface SdkHandler extends AsyncDisposable {
  (request: IncomingMessage, response: ServerResponse): Promise<void>;
}

const DEFAULT_MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * Serves the gateway's sessions through the official SDK's server and streamable HTTP transport, for programs that
 * have an HTTP server already. Mount it on one path; the body of the request must not have been read.
 *
 * Whatever ends a session, DELETE, its idle time or the gateway's end, closes its transport, and a transport that
 * closes ends its session. Compared with the gateway's own edge, answers lose digits of numbers beyond 2^53, a lone
 * answer is an event stream too, and a slow reader's messages are held in memory.
 */
export function createSdkHandler(options: SdkHandlerOptions): SdkHandler {
  const edge = new SdkEdge(options);
  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> =>
    edge.handle(request, response);
  return Object.assign(handler, {
    [Symbol.asyncDispose]: async () => edge[Symbol.asyncDispose](),
  });
}

class SdkEdge implements AsyncDisposable {
  readonly #options: SdkHandlerOptions;
  readonly #logger: Logger;
  readonly #ids: SessionIds;
  /** One for each session that this handler opened, so the session manager's limit is its bound. */
  readonly #connections = new Map<string, SdkConnection>();
  readonly #closedSessions: Disposable;

  constructor(options: SdkHandlerOptions) {
    this.#options = options;
    this.#logger = options.logger ?? SILENT_LOGGER;
    this.#ids = createSessionIds(options.sessions);
    this.#closedSessions = options.sessions.onSessionClosed((id) => this.#sessionClosed(id));
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let message: InboundMessage | undefined;
    try {
      this.#guard(request);
      const identity = (await this.#options.identify?.(request)) ?? ANONYMOUS;
      const { method } = request;
      if (method === "POST") {
        message = await this.#readMessage(request);
        await this.#post(request, response, message, identity);
      } else if (method === "GET" || method === "DELETE") {
        await this.#withoutBody(request, response, identity);
      } else {
        throw new VmcpError("method_not_allowed", "Use one of GET, POST, DELETE");
      }
    } catch (error) {
      const isInternal = VmcpError.from(error).code === "internal";
      if (isInternal) this.#logger.error("a request to the SDK edge failed");
      writeRefusal(response, error, message && idJsonOf(message));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = [...this.#connections.keys()];
    await Promise.allSettled(ids.map(async (id) => this.#ids.terminate(id)));
    this.#closedSessions[Symbol.dispose]();
  }

  /** What a web page of another site could send is refused (MCP transports, "Security Warning"). */
  #guard({ headers: { host, origin } }: IncomingMessage): void {
    const hosts = this.#options.allowedHostnames ?? localhostAllowedHostnames();
    if (!validateHostHeader(host, [...hosts]).ok) {
      throw new VmcpError(
        "forbidden_host",
        "The Host header names a host that is not served here; list it in allowedHostnames",
      );
    }
    const origins = this.#options.allowedOriginHostnames ?? localhostAllowedOrigins();
    if (!validateOriginHeader(origin, [...origins]).ok) {
      throw new VmcpError(
        "forbidden_host",
        "The Origin header names a site that may not call; list it in allowedOriginHostnames",
      );
    }
  }

  async #readMessage(request: IncomingMessage): Promise<InboundMessage> {
    // The transport checks these too, but later than a session is opened for `initialize`.
    requireMediaTypes(request);
    const maxBytes = this.#options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES;
    return parseInbound(await readBody(request, maxBytes), DEFAULT_MESSAGE_LIMITS);
  }

  async #post(
    request: IncomingMessage,
    response: ServerResponse,
    message: InboundMessage,
    identity: Identity,
  ): Promise<void> {
    if (message.kind === "invalid") throw message.error;
    const hasSession = request.headers["mcp-session-id"] !== undefined;
    if (message.kind === "request" && message.method === "initialize" && !hasSession) {
      await this.#open(request, response, message, identity);
      return;
    }
    const connection = await this.#find(request, identity);
    const reply = await connection.handleMessage(toWebRequest(request), message);
    const isComplete = await writeReply(reply, response);
    if (message.kind === "request") connection.replyEnded(message.id, isComplete);
  }

  async #withoutBody(
    request: IncomingMessage,
    response: ServerResponse,
    identity: Identity,
  ): Promise<void> {
    const connection = await this.#find(request, identity);
    const reply = await connection.handle(toWebRequest(request));
    if (request.method === "DELETE" || !reply.ok) {
      await writeReply(reply, response);
      return;
    }
    const stream = connection.attachStream();
    try {
      await writeReply(reply, response);
    } finally {
      stream[Symbol.dispose]();
    }
  }

  /** The session is there before the transport hears of `initialize`, so that the next request finds it. */
  async #open(
    request: IncomingMessage,
    response: ServerResponse,
    message: InboundRequest,
    identity: Identity,
  ): Promise<void> {
    const client = readClientProfile(message.params);
    if (!isInitializeRequest({ jsonrpc: "2.0", ...message })) {
      throw new VmcpError(
        "invalid_params",
        "initialize needs protocolVersion, capabilities and clientInfo with name and version",
      );
    }
    const gone = new AbortController();
    response.on("close", () => {
      gone.abort(new VmcpError("cancelled", "The client went away before its session was there"));
    });
    const id = await this.#ids.generate();
    try {
      const { sessions } = this.#options;
      const { signal } = gone;
      const session = await sessions.createSession(id, { identity, client, signal });
      const connection = await this.#connect(session);
      signal.throwIfAborted();
      const reply = await connection.handleMessage(toWebRequest(request), message);
      if (!connection.isInitialized) await this.#ids.terminate(id);
      await writeReply(reply, response);
    } catch (error) {
      // Nobody knows this id: without an end it would stay until its time to live has passed.
      await this.#ids.terminate(id);
      throw error;
    }
  }

  async #connect(session: EdgeSession): Promise<SdkConnection> {
    const { id } = session;
    const connection = await SdkConnection.open({
      session,
      serverInfo: this.#options.serverInfo,
      logger: this.#logger,
      onDeleted: async () => this.#ids.terminate(id),
      onClosed: () => this.#transportClosed(id),
    });
    this.#connections.set(id, connection);
    // It may have ended while the transport was made, and its end is told only once.
    if (this.#options.sessions.getMultiSession(id) !== session) {
      await connection[Symbol.asyncDispose]();
      throw new VmcpError("session_terminated", "The session was ended while it was opened");
    }
    return connection;
  }

  /** Rejects with `session_required`, or with `session_not_found` for an unknown, ended or foreign session. */
  async #find({ headers }: IncomingMessage, identity: Identity): Promise<SdkConnection> {
    const id = headers["mcp-session-id"];
    if (typeof id !== "string" || id === "") {
      throw new VmcpError(
        "session_required",
        "The Mcp-Session-Id header is missing: send initialize first, then the id it answers with",
      );
    }
    if (!(await this.#ids.validate(id))) throw sessionNotFound();
    const session = await this.#options.sessions.whenReady(id);
    const connection = this.#connections.get(id);
    if (connection === undefined || !isSameIdentity(session.identity, identity)) {
      throw sessionNotFound();
    }
    return connection;
  }

  #sessionClosed(id: string): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    // What the end of the session has just answered is written in the turns before this.
    setImmediate(() => void connection[Symbol.asyncDispose]());
  }

  #transportClosed(id: string): void {
    this.#connections.delete(id);
    this.#ids.terminate(id).catch(() => {
      this.#logger.warn("a session could not be ended with its transport");
    });
  }
}

function requireMediaTypes({ headers: { accept = "", ...headers } }: IncomingMessage): void {
  if (!accept.includes("application/json") || !accept.includes("text/event-stream")) {
    throw new VmcpError(
      "not_acceptable",
      "The Accept header must list both application/json and text/event-stream",
    );
  }
  if (!isJsonContentType(headers["content-type"])) {
    throw new VmcpError(
      "unsupported_media_type",
      "The Content-Type must be application/json, in UTF-8",
    );
  }
}

function idJsonOf(message: InboundMessage): string | undefined {
  return message.kind === "request" || message.kind === "invalid" ? message.idJson : undefined;
}

function sessionNotFound(): VmcpError {
  return new VmcpError("session_not_found", "Session not found; send initialize to open a new one");
}
