import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { ServerInfo } from "../gateway/initialize.ts";
import type { MessageLimits } from "../mcp/inbound-message.ts";
import { ClientConnections } from "./client-connections.ts";
import { refuse, writeError } from "./http-errors.ts";
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
  /** What `/status` shows: no URL, header, secret or session id. */
  readonly status: () => JsonObject;
  readonly isReady: () => boolean;
  readonly logger: Logger;
}

const IDLE_TIMEOUT_MS = 75_000;
const DISCONNECT_GRACE_MS = 5_000;
const HEARTBEAT_INTERVAL_MS = 15_000;

/**
 * The HTTP edge: `POST`, `GET` and `DELETE` on the MCP endpoint, `/health` (also `/healthz`), `/readyz` and
 * `/status`; with `legacySse` also `/sse` and `/messages`. Raw `node:http`, one table of paths and methods,
 * nothing else in front of it.
 */
export class HttpHost implements AsyncDisposable {
  readonly #options: HttpHostOptions;
  readonly #server: Server;
  readonly #guard: RequestGuard;
  readonly #routes: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  readonly #connections = new ClientConnections();
  readonly #streams: OpenStreams;
  readonly #eventLogs: EventLogs;
  #isDraining = false;

  constructor(options: HttpHostOptions) {
    this.#options = options;
    this.#guard = new RequestGuard(options);
    this.#streams = new OpenStreams(options.limits.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS);
    this.#eventLogs = new EventLogs({
      streams: this.#streams,
      streamBufferBytes: options.limits.streamBufferBytes,
      limits: options.limits.eventLog,
    });
    this.#routes = this.#createRoutes();
    this.#server = this.#createServer();
  }

  /** Starts to listen and resolves with the endpoint's URL; rejects with `address_in_use` or `invalid_config`. */
  async listen(): Promise<string> {
    const { host, port, path } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => reject(listenError(error, host, port)));
      this.#server.listen(port, host, resolve);
    });
    // A listening TCP server has an address of this shape.
    const address = this.#server.address() as AddressInfo;
    const name = host.includes(":") ? `[${host}]` : host;
    return `http://${name}:${address.port}${path}`;
  }

  /** Takes no new connection; those that are idle close, the others after their next answer. Safe to repeat. */
  stopAccepting(): void {
    this.#isDraining = true;
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Closes every connection, whatever is under way on it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams[Symbol.dispose]();
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => {
          this.#server.close(() => resolve());
        })
      : Promise.resolve();
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
    server.maxConnections = limits.maxConnections;
    server.timeout = limits.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
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
    };
    const endpoint = new Map<string, Handler>([
      ["POST", async (request, response) => handlePost(request, response, ANONYMOUS, options)],
      ["GET", async (request, response) => handleGet(request, response, ANONYMOUS, options)],
      ["DELETE", async (request, response) => handleDelete(request, response, ANONYMOUS, options)],
    ]);
    return new Map([
      ...this.#legacyRoutes(),
      [this.#options.path, endpoint],
      ["/health", page(() => ({ status: "ok" }))],
      ["/healthz", page(() => ({ status: "ok" }))],
      ["/readyz", page(() => ({ ready: this.#options.isReady() }), this.#options.isReady)],
      ["/status", page(this.#options.status)],
    ]);
  }

  #legacyRoutes(): readonly (readonly [string, ReadonlyMap<string, Handler>])[] {
    const { legacySse, sessions, logger, serverInfo, messageLimits, limits } = this.#options;
    if (legacySse !== true) return [];
    const clients = new SseClients({
      sessions,
      logger,
      serverInfo,
      messageLimits,
      streams: this.#streams,
      maxRequestBytes: limits.requestBytes,
      streamBufferBytes: limits.streamBufferBytes,
      ...(limits.openingDeadlineMs !== undefined && {
        openingDeadlineMs: limits.openingDeadlineMs,
      }),
    });
    const open: Handler = async (request, response) =>
      clients.handleGet(request, response, ANONYMOUS);
    const post: Handler = async (request, response) =>
      clients.handlePost(request, response, ANONYMOUS);
    return [
      [SSE_PATH, new Map([["GET", open]])],
      [MESSAGES_PATH, new Map([["POST", post]])],
    ];
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#connections.began(request, response);
    if (this.#isDraining) response.shouldKeepAlive = false;
    try {
      this.#guard.check(request);
      if (this.#answeredCors(request, response)) return;
      await this.#handlerOf(request, response)(request, response);
    } catch (error) {
      const { logger, limits } = this.#options;
      await refuse(request, response, error, { logger, maxRequestBytes: limits.requestBytes });
    }
  }

  #handlerOf({ url = "", method = "" }: IncomingMessage, response: ServerResponse): Handler {
    // Never parsed as a URL: "//host/mcp" and "http://host/mcp" are paths that do not exist here.
    const query = url.indexOf("?");
    const methods = this.#routes.get(query === -1 ? url : url.slice(0, query));
    if (methods === undefined) {
      throw new VmcpError("path_not_found", `The MCP endpoint is ${this.#options.path}`);
    }
    const handler = methods.get(method);
    if (handler !== undefined) return handler;
    const allowed = [...methods.keys()].join(", ");
    response.setHeader("allow", allowed);
    throw new VmcpError("method_not_allowed", `Use one of ${allowed}`);
  }

  /** Cross-origin headers go to listed origins only; true if the request was a preflight and is answered. */
  #answeredCors({ headers, method }: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = headers;
    if (origin === undefined || !this.#guard.isListedOrigin(origin)) return false;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", "mcp-session-id");
    response.setHeader("vary", "origin");
    if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined)
      return false;
    response
      .writeHead(204, {
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers":
          "content-type, accept, authorization, mcp-session-id, mcp-protocol-version, last-event-id",
        "access-control-max-age": "600",
      })
      .end();
    return true;
  }
}

function unknownExpectation(): VmcpError {
  return new VmcpError(
    "expectation_failed",
    "The only expectation that can be met is 100-continue",
  );
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): VmcpError {
  const code = error.code ?? "unknown error";
  if (code === "EADDRINUSE") {
    return new VmcpError(
      "address_in_use",
      `Port ${port} on ${host} is already in use: stop what uses it, or choose another with --port`,
      { cause: error },
    );
  }
  const sentence =
    code === "EACCES"
      ? `Port ${port} on ${host} may not be opened by this user: choose one above 1023`
      : `Cannot listen on ${host}:${port} (${code}): check server.host and server.port`;
  return new VmcpError("invalid_config", sentence, { cause: error });
}
