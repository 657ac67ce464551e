import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { ServerInfo } from "../gateway/initialize.ts";
import type { MessageLimits } from "../mcp/inbound-message.ts";
import { answerBrokenRequest } from "./broken-requests.ts";
import { writeError } from "./http-errors.ts";
import { RequestGuard } from "./request-guard.ts";
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
}

export interface HttpHostOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The path of the MCP endpoint. */
  readonly path: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly limits: HttpLimits;
  readonly messageLimits: MessageLimits;
  readonly sessions: EdgeSessions;
  readonly serverInfo: ServerInfo;
  /** What `/status` shows: no URL, header, secret or session id. */
  readonly status: () => JsonObject;
  readonly isReady: () => boolean;
  readonly logger: Logger;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** Comments on idle streams keep middleboxes from closing them. */
const HEARTBEAT_INTERVAL_MS = 15_000;
const HEARTBEAT = Buffer.from(": keep-alive\n\n");

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/**
 * The HTTP edge: `POST`, `GET` and `DELETE` on the MCP endpoint, `/health` (also `/healthz`), `/readyz` and
 * `/status`. Raw `node:http`, one table of paths and methods, nothing else in front of it.
 */
export class HttpHost implements AsyncDisposable {
  readonly #options: HttpHostOptions;
  readonly #server: Server;
  readonly #guard: RequestGuard;
  readonly #routes: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  readonly #streams = new Set<ServerResponse>();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: HttpHostOptions) {
    this.#options = options;
    this.#guard = new RequestGuard({
      allowedHosts: options.allowedHosts,
      allowedOrigins: options.allowedOrigins,
      isLoopback: isLoopbackHost(options.host),
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
    this.#heartbeat = setInterval(() => {
      for (const stream of this.#streams) stream.write(HEARTBEAT);
    }, HEARTBEAT_INTERVAL_MS).unref();
    // A listening TCP server has an address of this shape.
    const address = this.#server.address() as AddressInfo;
    const name = host.includes(":") ? `[${host}]` : host;
    return `http://${name}:${address.port}${path}`;
  }

  /** Takes no new connection; those that are idle close, the others may finish. Safe to repeat. */
  stopAccepting(): void {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Closes every connection, whatever is under way on it. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
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
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      void this.#handle(request, response);
    });
    server.on("checkExpectation", (_request: IncomingMessage, response: ServerResponse) => {
      writeError(response, unknownExpectation(), this.#options.logger);
    });
    server.on("clientError", (error: Error, socket: Socket) => answerBrokenRequest(error, socket));
    server.on("connect", (_request, socket) => socket.end(CONNECT_REFUSED));
    return server;
  }

  #createRoutes(): ReadonlyMap<string, ReadonlyMap<string, Handler>> {
    const { sessions, logger, limits } = this.#options;
    const shared = { sessions, logger };
    const post = {
      ...shared,
      serverInfo: this.#options.serverInfo,
      maxRequestBytes: limits.requestBytes,
      messageLimits: this.#options.messageLimits,
    };
    const get = {
      ...shared,
      streamBufferBytes: limits.streamBufferBytes,
      openStreams: this.#streams,
    };
    const endpoint = new Map<string, Handler>([
      ["POST", async (request, response) => handlePost(request, response, ANONYMOUS, post)],
      ["GET", async (request, response) => handleGet(request, response, ANONYMOUS, get)],
      ["DELETE", async (request, response) => handleDelete(request, response, ANONYMOUS, shared)],
    ]);
    return new Map([
      [this.#options.path, endpoint],
      ["/health", page(() => ({ status: "ok" }))],
      ["/healthz", page(() => ({ status: "ok" }))],
      ["/readyz", page(() => ({ ready: this.#options.isReady() }), this.#options.isReady)],
      ["/status", page(this.#options.status)],
    ]);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#guard.check(request);
      if (this.#answeredCors(request, response)) return;
      const handler = this.#handlerOf(request, response);
      if (request.headers.expect !== undefined) response.writeContinue();
      await handler(request, response);
    } catch (error) {
      // Whatever was not read of the body is not worth reading.
      if (request.method === "POST") response.shouldKeepAlive = false;
      writeError(response, error, this.#options.logger);
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

export function isLoopbackHost(host: string): boolean {
  return LOOPBACK_HOSTS.has(host) || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** A small JSON page for machines and people; 503 while `isFine` says no. */
function page(
  content: () => JsonObject,
  isFine: () => boolean = () => true,
): ReadonlyMap<string, Handler> {
  const handler: Handler = (_request, response) => {
    const body = Buffer.from(`${JSON.stringify(content())}\n`);
    response
      .writeHead(isFine() ? 200 : 503, {
        "content-type": "application/json",
        "content-length": body.length,
        "cache-control": "no-store",
      })
      .end(body);
  };
  return new Map([
    ["GET", handler],
    ["HEAD", handler],
  ]);
}

function unknownExpectation(): VmcpError {
  return new VmcpError(
    "expectation_failed",
    "The only expectation that can be met is 100-continue",
  );
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): VmcpError {
  switch (error.code) {
    case "EADDRINUSE":
      return new VmcpError(
        "address_in_use",
        `Port ${port} on ${host} is already in use: stop what uses it, or choose another with --port`,
        { cause: error },
      );
    case "EACCES":
      return new VmcpError(
        "invalid_config",
        `Port ${port} on ${host} may not be opened by this user: choose one above 1023`,
        { cause: error },
      );
    default:
      return new VmcpError(
        "invalid_config",
        `Cannot listen on ${host}:${port} (${error.code ?? "unknown error"}): check server.host and server.port`,
        { cause: error },
      );
  }
}

const CONNECT_REFUSED =
  "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
