import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { ConnectionPool, type ConnectionPoolOptions } from "../connection-pool.ts";
import type { HttpRequest, RequestControl, ResponseHandler } from "../request-sender.ts";

/** What a server does with a request of which all has come; the body is in Latin-1. */
export type Serve = (socket: Socket, path: string, body: string) => void;

export interface StartedServer {
  readonly origin: string;
  /** All connections that it ever had. */
  readonly sockets: readonly Socket[];
  /** The paths of all requests, in the order in which they came. */
  readonly requests: readonly string[];
}

export async function startServer(serve: Serve): Promise<StartedServer> {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    readRequests(socket, (its, path, body) => {
      requests.push(path);
      serve(its, path, body);
    });
  });
  return { origin: `http://localhost:${await listen(server)}`, sockets, requests };
}

export interface TlsServerOptions {
  readonly cert: string;
  readonly key: string;
  readonly maxVersion?: "TLSv1.2";
  /** Hears of each connection that has been secured. */
  readonly onSecure?: (socket: TLSSocket) => void;
  /** Hears of each connection, before anything is said on it. */
  readonly onConnection?: (socket: Socket) => void;
}

/** Its certificate has to be for `localhost`. */
export async function startTlsServer(
  serve: Serve,
  { cert, key, maxVersion, onSecure, onConnection }: TlsServerOptions,
): Promise<string> {
  const server = createTlsServer({ cert, key, ...(maxVersion && { maxVersion }) }, (socket) => {
    onSecure?.(socket);
    readRequests(socket, serve);
  });
  server.on("tlsClientError", () => {});
  if (onConnection !== undefined) server.on("connection", onConnection);
  return `https://localhost:${await listen(server)}`;
}

/** Reads requests one after the other, with bodies whose length is told. */
export function readRequests(socket: Socket, serve: Serve): void {
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (let end = endOfRequest(text); end !== undefined; end = endOfRequest(text)) {
      const path = text.split(" ", 2)[1] ?? "";
      const body = text.slice(text.indexOf("\r\n\r\n") + 4, end);
      text = text.slice(end);
      serve(socket, path, body);
    }
  });
}

function endOfRequest(text: string): number | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const length = Number(/content-length: (\d+)/.exec(text.slice(0, headEnd))?.[1] ?? 0);
  const end = headEnd + 4 + length;
  return text.length < end ? undefined : end;
}

/** The port on the IPv4 loopback; with a path, that in the file system and port 0. Closes with the test. */
export async function listen(server: Server, path?: string): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  // A server that listens on a port has such an address.
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

export function poolAt(origin: string, more: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const pool = new ConnectionPool(origin, { maxConnections: 4, connectMs: 5_000, ...more });
  onTestFinished(() => pool[Symbol.dispose]());
  return pool;
}

export interface Heard {
  /** The body, or the code of the error. */
  readonly ended: Promise<string>;
  readonly said: readonly string[];
  control(): RequestControl;
}

export function ask(
  pool: ConnectionPool,
  path: string,
  more: Partial<ResponseHandler> = {},
): Heard {
  return askWith(pool, { method: "GET", path, headers: [] }, more);
}

/** Writes down what it hears, and does what `more` does besides. */
export function askWith(
  pool: ConnectionPool,
  request: HttpRequest,
  more: Partial<ResponseHandler> = {},
): Heard {
  const said: string[] = [];
  const bodies: Buffer[] = [];
  let control: RequestControl | undefined;
  const ended = new Promise<string>((resolve) => {
    pool.dispatch(request, {
      onConnect(its) {
        control = its;
        said.push("connect");
        more.onConnect?.(its);
      },
      onHeaders(status, headers) {
        said.push(`head ${status}`);
        more.onHeaders?.(status, headers);
      },
      onData(chunk) {
        bodies.push(chunk);
        return more.onData?.(chunk) ?? true;
      },
      onComplete() {
        said.push("complete");
        resolve(Buffer.concat(bodies).toString());
      },
      onError(error) {
        const code = "code" in error ? String(error.code) : error.message;
        said.push(`error ${code}`);
        resolve(code);
      },
    });
  });
  return {
    said,
    ended,
    control() {
      if (control === undefined) throw new Error("not connected");
      return control;
    },
  };
}

export function answer(body: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
}
