import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import { endpointUrl, listenError } from "../domain/listen-error.ts";
import type { Logger } from "../domain/logger.ts";
import type { ServerInfo } from "../gateway/initialize.ts";
import type { MessageLimits } from "../mcp/inbound-message.ts";
import { NO_AUTHENTICATION, type Authenticator } from "./authenticator.ts";
import { ClientConnections } from "./client-connections.ts";
import { answeredCrossOrigin } from "./cross-origin.ts";
import type { MemoryPressure } from "./memory-pressure.ts";
import { FailureLimiter } from "./failure-limiter.ts";
import { readRequestId } from "./request-id.ts";
import { refuse, writeError } from "./http-errors.ts";
import { asksForDigests } from "./local-request.ts";
import { OpenStreams } from "./open-streams.ts";
import { page, type Handler } from "./pages.ts";
import { RequestGuard } from "./request-guard.ts";
import { MESSAGES_PATH, SSE_PATH, SseClients } from "./rev-2024-11-05/sse-clients.ts";
import { EventLogs } from "./rev-2025-11-25/event-logs.ts";
import type { EventLogLimits } from "./rev-2025-11-25/event-log.ts";
import { handleDelete } from "./rev-2025-11-25/delete.ts";
import { handleGet } from "./rev-2025-11-25/get.ts";
import { handlePost } from "./rev-2025-11-25/post.ts";
import type { EdgeSessions } from "./rev-2025-11-25/sessions.ts";
import { namesStateless } from "./rev-2026-07-28/family.ts";
import { isNamedPath, sessionNameOf } from "./rev-2026-07-28/session-name.ts";
import { StatelessEdge } from "./rev-2026-07-28/stateless-edge.ts";
import { statelessKeyOf } from "./rev-2026-07-28/stateless-sessions.ts";
import type { HostSeat } from "./host-seat.ts";

export interface HttpLimits {
  readonly requestBytes: number;
  readonly headerBytes: number;
  readonly headersTimeoutMs: number;
  /** Head and body of one request together. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Beyond this many connections new ones are closed at once, instead of hanging without a descriptor. */
  readonly maxConnections: number;
  /** Bytes that may wait for one slow reader. */
  readonly streamBufferBytes: number;
  /** A connection on which nothing moves for this long is closed, unless it waits for us. Default 75 s. */
  readonly idleTimeoutMs?: number;
  /** How long the call of a client that went away goes on. Default 5 s: a client that lost its way may be back. */
  readonly disconnectGraceMs?: number;
  /** What is kept for clients that come back for a stream. Default: 256 events, 1 MiB, 5 min per session. */
  readonly eventLog?: EventLogLimits;
  /** Between two comments on an idle stream. Default 15 s: middleboxes close what is silent for longer. */
  readonly heartbeatIntervalMs?: number;
  /** An HTTP+SSE stream on which no session is asked for within this time is closed. Default 60 s. */
  readonly openingDeadlineMs?: number;
}

export interface HttpHostOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The path of the MCP endpoint. */
  readonly path: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Serves clients that only know HTTP+SSE on `/sse` and `/messages`. Default false. */
  readonly legacySse?: boolean;
  readonly limits: HttpLimits;
  readonly messageLimits: MessageLimits;
  readonly sessions: EdgeSessions;
  readonly serverInfo: ServerInfo;
  /** What `/status` shows, with or without digests of the configuration: no URL, header, secret or session id. */
  readonly status: (withDigests: boolean) => JsonObject;
  readonly isReady: () => boolean;
  /** Added to what `/readyz` says. */
  readonly readiness?: () => JsonObject;
  /** Tells who sends a request. Default: nobody is told from anybody. */
  readonly authenticator?: Authenticator;
  /** How often one address may fail to prove who it is, or name no session. Default: any number of times. */
  readonly failedRequestsPerMinute?: number;
  /** Called when a request is refused for its Host, its Origin or its proof. Must not throw. */
  readonly onDenied?: (request: DeniedRequest) => void;
  /** Secrets that every process of the gateway knows, for what stateless clients hold between two rounds. */
  readonly stateKeys?: readonly string[];
  /** How long a stateless client has to come back with what a backend asked it. Default 10 min. */
  readonly clientAnswerMs?: () => number;
  /** Further pages, for whoever asks; their paths are not the endpoint's. */
  readonly openRoutes?: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  /** Where memory is nearly full, new work on the endpoint is refused. Default: it is never looked at. */
  readonly pressure?: Pick<MemoryPressure, "level">;
  /** The place among several processes that serve the endpoint together. Default: this one alone, on its own port. */
  readonly seat?: HostSeat;
  readonly logger: Logger;
}

/** A request that was refused before anything of it was read but its headers. */
export interface DeniedRequest {
  readonly method: string;
  readonly address: string | undefined;
  readonly code: string;
  /** Why, in words of the gateway. */
  readonly reason?: string;
}

/** What is denied to a client for what it is, and not for what it says. */
const DENIALS: ReadonlySet<string> = new Set([
  "forbidden_host",
  "unauthorized",
  "insufficient_scope",
  "rate_limited",
]);

const IDLE_TIMEOUT_MS = 75_000;
const DISCONNECT_GRACE_MS = 5_000;
const HEARTBEAT_INTERVAL_MS = 15_000;
const SHED_RETRY_SECONDS = 5;
const WELL_KNOWN = "/.well-known/";

/**
 * The HTTP edge: `POST`, `GET` and `DELETE` on the MCP endpoint, `/health` (also `/healthz`), `/readyz` and
 * `/status`; with `legacySse` also `/sse` and `/messages`. Raw `node:http`, one table of paths and methods,
 * nothing else in front of it. Who sends a request is found out before anything but its head is looked at, for
 * everything but health and what is published about authentication.
 */
export class HttpHost implements AsyncDisposable {
  readonly #options: HttpHostOptions;
  readonly #server: Server;
  readonly #guard: RequestGuard;
  readonly #authenticator: Authenticator;
  readonly #failures: FailureLimiter | undefined;
  readonly #routes: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  /** Served without asking who asks. */
  readonly #openRoutes: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  readonly #connections: ClientConnections;
  readonly #streams: OpenStreams;
  readonly #eventLogs: EventLogs;
  readonly #stateless: StatelessEdge;
  /** Connections of clients, where others come from processes of this gateway. */
  readonly #adopted = new WeakSet<Duplex>();
  #isDraining = false;

  constructor(options: HttpHostOptions) {
    this.#options = options;
    const mayClose = (socket: Socket): boolean =>
      options.seat === undefined || this.#adopted.has(socket);
    this.#connections = new ClientConnections(options.limits.maxConnections, mayClose);
    this.#guard = new RequestGuard(options);
    this.#authenticator = options.authenticator ?? NO_AUTHENTICATION;
    const { failedRequestsPerMinute } = options;
    if (failedRequestsPerMinute !== undefined) {
      this.#failures = new FailureLimiter(failedRequestsPerMinute);
    }
    this.#streams = new OpenStreams(options.limits.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS);
    this.#eventLogs = new EventLogs({
      streams: this.#streams,
      streamBufferBytes: options.limits.streamBufferBytes,
      limits: options.limits.eventLog,
    });
    this.#stateless = new StatelessEdge({
      ...options,
      streams: this.#streams,
      maxRequestBytes: options.limits.requestBytes,
      streamBufferBytes: options.limits.streamBufferBytes,
    });
    this.#openRoutes = new Map([
      ["/health", page(() => ({ status: "ok" }))],
      ["/healthz", page(() => ({ status: "ok" }))],
      ["/readyz", page(() => this.#readiness(), options.isReady)],
      ...(options.openRoutes ?? []),
    ]);
    this.#routes = this.#createRoutes();
    this.#server = this.#createServer();
  }

  /**
   * Starts to listen, or with a seat to take connections, and resolves with the endpoint's URL; rejects with
   * `address_in_use` or `invalid_config`.
   */
  async listen(): Promise<string> {
    const { host, port, path, seat } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => reject(listenError(error, host, port)));
      if (seat === undefined) this.#server.listen(port, host, resolve);
      else this.#server.listen(seat.socketPath, resolve);
    });
    if (seat !== undefined) {
      seat.open((socket) => this.#adopt(socket));
      return seat.url;
    }
    // A listening TCP server has an address of this shape.
    const address = this.#server.address() as AddressInfo;
    return endpointUrl(host, address.port, path);
  }

  /** Takes no new connection; those that are idle close, the others after their next answer. Safe to repeat. */
  stopAccepting(): void {
    this.#isDraining = true;
    this.#streams.isStopping = true;
    this.#stateless.stopAccepting();
    if (!this.#server.listening) return;
    this.#server.close();
  }

  /** Closes every connection, whatever is under way on it. What was answered is still sent to those who read it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams[Symbol.dispose]();
    this.#stateless[Symbol.dispose]();
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => {
          this.#server.close(() => resolve());
        })
      : Promise.resolve();
    await this.#connections.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #createServer(): Server {
    const { limits } = this.#options;
    const server = createServer(
      {
        maxHeaderSize: limits.headerBytes,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        keepAliveTimeout: limits.keepAliveTimeoutMs,
        connectionsCheckingInterval: 1_000,
        noDelay: true,
      },
      (request, response) => void this.#handle(request, response),
    );
    // With a limit, headers beyond it would vanish in silence, an Origin among them.
    server.maxHeadersCount = 0;
    // With a seat only processes of this gateway connect; clients are counted where they are adopted.
    if (this.#options.seat === undefined) server.maxConnections = limits.maxConnections;
    // Closing the server calls this; the built-in one cuts answers that are still on their way to a slow reader.
    server.closeIdleConnections = () => this.#connections.closeWhenAnswered();
    server.timeout = limits.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    server.on("connection", (socket: Socket) => this.#connections.opened(socket));
    server.on("drop", () => this.#connections.makeRoom());
    server.on("timeout", (socket: Socket) => this.#connections.idled(socket));
    // The go-ahead is given when the body is wanted, and its announced size is known to be fine.
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      void this.#handle(request, response);
    });
    server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
      this.#connections.began(request, response);
      writeError(response, unknownExpectation(), this.#options.logger);
    });
    server.on("clientError", (error: Error, socket: Duplex) => {
      this.#connections.answerBroken(error, socket);
    });
    server.on("connect", (_request: IncomingMessage, socket: Duplex) => {
      this.#connections.refuseTunnel(socket);
    });
    return server;
  }

  #createRoutes(): ReadonlyMap<string, ReadonlyMap<string, Handler>> {
    const { limits } = this.#options;
    const options = {
      sessions: this.#options.sessions,
      logger: this.#options.logger,
      serverInfo: this.#options.serverInfo,
      messageLimits: this.#options.messageLimits,
      maxRequestBytes: limits.requestBytes,
      disconnectGraceMs: limits.disconnectGraceMs ?? DISCONNECT_GRACE_MS,
      eventLogs: this.#eventLogs,
      stateless: this.#stateless,
      failures: this.#failures,
    };
    const endpoint = new Map<string, Handler>([
      ["POST", async (asked, answer, who) => handlePost(asked, answer, who, options)],
      ["GET", async (asked, answer, who) => handleGet(asked, answer, who, options)],
      ["DELETE", async (asked, answer, who) => handleDelete(asked, answer, who, options)],
    ]);
    return new Map([
      ...this.#legacyRoutes(),
      [this.#options.path, endpoint],
      ["/status", page((request) => this.#options.status(asksForDigests(request)))],
    ]);
  }

  #legacyRoutes(): readonly (readonly [string, ReadonlyMap<string, Handler>])[] {
    const { legacySse, sessions, logger, serverInfo, messageLimits, limits } = this.#options;
    if (legacySse !== true) return [];
    const { seat } = this.#options;
    const clients = new SseClients({
      ...(seat && { mintId: () => seat.mintSessionId() }),
      sessions,
      logger,
      serverInfo,
      messageLimits,
      streams: this.#streams,
      maxRequestBytes: limits.requestBytes,
      streamBufferBytes: limits.streamBufferBytes,
      failures: this.#failures,
      ...(limits.openingDeadlineMs !== undefined && {
        openingDeadlineMs: limits.openingDeadlineMs,
      }),
    });
    const open: Handler = async (...asked) => clients.handleGet(...asked);
    const post: Handler = async (...asked) => clients.handlePost(...asked);
    return [
      [SSE_PATH, new Map([["GET", open]])],
      [MESSAGES_PATH, new Map([["POST", post]])],
    ];
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#connections.began(request, response);
    const pressure = this.#options.pressure?.level() ?? "none";
    if (this.#isDraining || pressure === "critical") response.shouldKeepAlive = false;
    try {
      const owner = this.#foreignOwnerOf(request);
      this.#guard.check(request);
      if (pressure !== "none") this.#shed(request);
      if (answeredCrossOrigin(request, response, this.#guard)) return;
      const path = pathOf(request);
      const serve = this.#handlerOf(path, request, response);
      const identity = this.#isOpen(path)
        ? ANONYMOUS
        : (this.#authenticator.recall(request) ?? (await this.#verify(request)));
      const keeper = this.#keeperOf(request, identity, owner);
      if (keeper !== undefined && (await this.#wasForwarded(keeper, request, response))) return;
      await serve(request, response, identity);
    } catch (error) {
      this.#noteDenied(request, error);
      await this.#refuse(request, response, error);
    }
  }

  async #verify(request: IncomingMessage): Promise<Identity> {
    this.#failures?.require(request);
    return this.#authenticator.verify(request);
  }

  async #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    thrown: unknown,
  ): Promise<void> {
    const { logger, limits, messageLimits } = this.#options;
    const maxRequestBytes = limits.requestBytes;
    const options = { logger, maxRequestBytes, failures: this.#failures };
    // Whose proof holds and permits too little is told so in terms of its message.
    const needsId = thrown instanceof VmcpError && thrown.code === "insufficient_scope";
    const idJson = needsId
      ? await readRequestId(request, response, maxRequestBytes, messageLimits)
      : undefined;
    await refuse(request, response, thrown, { ...options, idJson });
  }

  /** Takes over a connection of a client that somebody else accepted. */
  #adopt(socket: Socket): void {
    if (this.#connections.count >= this.#options.limits.maxConnections) {
      this.#connections.makeRoom();
      socket.destroy();
      return;
    }
    this.#adopted.add(socket);
    this.#server.emit("connection", socket);
  }

  /** False where the owner is gone: then this process answers for the session that it does not know. */
  async #wasForwarded(
    owner: number,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    if (await this.#options.seat?.forward(owner, request, response)) {
      this.#failures?.noteStatus(request, response.statusCode);
      return true;
    }
    if (this.#isDraining) throw new VmcpError("shutting_down", "The gateway is shutting down");
    return false;
  }

  /** Who serves the request in place of this process: stateless clients name no session, whatever they send. */
  #keeperOf(
    request: IncomingMessage,
    identity: Identity,
    owner: number | undefined,
  ): number | undefined {
    const { seat, path } = this.#options;
    if (seat === undefined || !namesStateless(request)) return owner;
    if (request.method !== "POST" || !this.#adopted.has(request.socket)) return undefined;
    return seat.foreignKeeperOf?.(statelessKeyOf(identity, sessionNameOf(request, path)));
  }

  /** Throws `forbidden_host` where a request pretends to come from a process of this gateway. */
  #foreignOwnerOf(request: IncomingMessage): number | undefined {
    const { seat, limits } = this.#options;
    if (seat === undefined) return undefined;
    if (!this.#adopted.has(request.socket)) {
      // It was passed on once and belongs here, whether the session is there or not.
      seat.requireSibling(request);
      return undefined;
    }
    // What is too large is refused where it arrived.
    if (Number(request.headers["content-length"] ?? 0) > limits.requestBytes) return undefined;
    return seat.foreignOwnerOf(request);
  }

  /** What ends something, or only looks, is served however short memory is. */
  #shed(request: IncomingMessage): void {
    const { method } = request;
    if (method !== "POST" && !(method === "GET" && this.#isStreamPath(pathOf(request)))) return;
    throw new VmcpError("overloaded", "The gateway is short of memory; try again", {
      retryAfterSeconds: SHED_RETRY_SECONDS,
    });
  }

  #isStreamPath(path: string): boolean {
    const endpoint = this.#options.path;
    return path === endpoint || path === SSE_PATH || isNamedPath(path, endpoint);
  }

  #readiness(): JsonObject {
    return { ready: this.#options.isReady(), ...this.#options.readiness?.() };
  }

  #noteDenied({ method = "", socket }: IncomingMessage, error: unknown): void {
    if (!(error instanceof VmcpError) || !DENIALS.has(error.code)) return;
    const { code, reason } = error;
    const denied = { method, address: socket.remoteAddress, code };
    this.#options.onDenied?.({ ...denied, ...(reason !== undefined && { reason }) });
  }

  #handlerOf(path: string, { method = "" }: IncomingMessage, response: ServerResponse): Handler {
    const methods = this.#methodsAt(path);
    if (methods === undefined) {
      throw new VmcpError("path_not_found", `The MCP endpoint is ${this.#options.path}`);
    }
    const handler = methods.get(method);
    if (handler !== undefined) return handler;
    const allowed = [...methods.keys()].join(", ");
    response.setHeader("allow", allowed);
    throw new VmcpError("method_not_allowed", `Use one of ${allowed}`);
  }

  #methodsAt(path: string): ReadonlyMap<string, Handler> | undefined {
    const methods = this.#openRoutes.get(path) ?? this.#guardedAt(path);
    if (methods !== undefined) return methods;
    const document = path.startsWith(WELL_KNOWN) ? this.#authenticator.wellKnown(path) : undefined;
    return document && page(() => document);
  }

  #guardedAt(path: string): ReadonlyMap<string, Handler> | undefined {
    const isNamed = isNamedPath(path, this.#options.path);
    return this.#routes.get(isNamed ? this.#options.path : path);
  }

  /** What is served to whoever asks: whether we live, and how to prove oneself. The endpoint may be anywhere. */
  #isOpen(path: string): boolean {
    if (this.#openRoutes.has(path)) return true;
    return path.startsWith(WELL_KNOWN) && this.#guardedAt(path) === undefined;
  }
}

/** Never parsed as a URL: "//host/mcp" and "http://host/mcp" are paths that do not exist here. */
function pathOf({ url = "" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}

function unknownExpectation(): VmcpError {
  return new VmcpError(
    "expectation_failed",
    "The only expectation that can be met is 100-continue",
  );
}
