import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { settledWithin } from "../lib/settled-within.ts";
import { linger } from "./linger.ts";

/** What the HTTP parser stumbled over, as the status that says so. Anything else is 400. */
const STATUS_OF: ReadonlyMap<string, Status> = new Map([
  ["HPE_HEADER_OVERFLOW", { code: 431, text: "Request Header Fields Too Large" }],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", { code: 413, text: "Payload Too Large" }],
  ["ERR_HTTP_REQUEST_TIMEOUT", { code: 408, text: "Request Timeout" }],
]);

const BAD_REQUEST: Status = { code: 400, text: "Bad Request" };

interface Status {
  readonly code: number;
  readonly text: string;
}

interface LastExchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** The part of all places that connections at rest have to leave to those that come. */
const SPARE_SHARE = 1 / 16;

/** Who has rested for less than this will soon be back, and keeps its connection whoever else comes. */
const SPARED_REST_MS = 5_000;

/** How many connections are looked at for one that comes, so that a flood of them costs little. */
const MAX_LOOKS = 32;

/** How long closing waits for clients to read what was written to them. */
const FLUSH_MS = 1_000;

/**
 * What is under way on each client's connection, for all that happens to a connection and not to a request.
 *
 * A connection answers in the order of its requests, so the newest exchange tells about all before it.
 */
export class ClientConnections {
  readonly #last = new WeakMap<Duplex, LastExchange>();
  readonly #broken = new WeakSet<Duplex>();
  readonly #open = new Set<Socket>();
  readonly #roomyCount: number;
  readonly #mayClose: (socket: Socket) => boolean;
  /** Where the search for one at rest goes on. */
  #search: Iterator<Socket> | undefined;
  /** What had been asked last when a connection was first seen at rest, and when that was. */
  readonly #rests = new WeakMap<
    Socket,
    { readonly after: IncomingMessage; readonly atMs: number }
  >();

  /** `mayClose` tells which connections may be closed to keep below `maxConnections`. */
  constructor(maxConnections: number, mayClose: (socket: Socket) => boolean) {
    this.#roomyCount = maxConnections - Math.floor(maxConnections * SPARE_SHARE);
    this.#mayClose = mayClose;
  }

  /** Connections that are open now. */
  get count(): number {
    return this.#open.size;
  }

  /** Notes a connection until it closes. Where places get short, one that has long been at rest is closed. */
  opened(socket: Socket): void {
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    if (this.#open.size > this.#roomyCount) this.makeRoom();
  }

  /** Notes a request at the moment its head is complete. */
  began(request: IncomingMessage, response: ServerResponse): void {
    const last = this.#last.get(request.socket);
    if (last === undefined) {
      this.#last.set(request.socket, { request, response });
      return;
    }
    last.request = request;
    last.response = response;
  }

  /**
   * Answers bytes that are no HTTP request, and closes: what follows on the connection cannot be trusted. Whole
   * requests that came before them still get their answers, and no request gets two.
   */
  answerBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    // The parser reports every further piece of a connection that it has given up.
    if (this.#broken.has(socket)) return;
    this.#broken.add(socket);
    const last = this.#last.get(socket);
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else if (last === undefined || isAnswered(last)) refuse(socket, statusOf(error));
    else if (last.request.complete) last.response.on("close", () => linger(socket));
    else if (last.response.headersSent) socket.destroy();
    else {
      // The body of the newest request is what broke.
      last.response.shouldKeepAlive = false;
      last.response.writeHead(statusOf(error).code, { "content-length": 0 }).end();
    }
  }

  /**
   * Ends a connection on which nothing has moved for a while, unless it waits for an answer of ours. With bytes
   * still to be sent it is the client that does not read.
   */
  idled(socket: Duplex): void {
    const last = this.#last.get(socket);
    if (last === undefined || isAnswered(last) || socket.writableLength > 0) socket.destroy();
  }

  /**
   * Closes every connection once what was asked on it is answered and sent. One on which nothing was asked yet stays
   * for its first request, whose answer closes it.
   */
  closeWhenAnswered(): void {
    for (const socket of this.#open) {
      const response = this.#last.get(socket)?.response;
      if (response === undefined) continue;
      if (response.writableEnded) socket.destroySoon();
      else if (response.headersSent) response.on("close", () => linger(socket));
      else response.shouldKeepAlive = false;
    }
  }

  /** Closes every connection now. What was written is still sent; who does not read it is cut after a moment. */
  async close(): Promise<void> {
    const closing = [...this.#open].map(async (socket) => {
      const closed = socket.closed ? Promise.resolve() : once(socket, "close");
      socket.destroySoon();
      if (!(await settledWithin(closed, FLUSH_MS))) socket.destroy();
    });
    await Promise.allSettled(closing);
  }

  /** Closes one connection that has long been at rest, so that the next one that comes finds a place. */
  makeRoom(): void {
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      this.#search ??= this.#open.values();
      const { value: socket, done } = this.#search.next();
      if (done === true) this.#search = undefined;
      else if (this.#hasRestedLong(socket) && this.#mayClose(socket)) {
        socket.destroySoon();
        return;
      }
    }
  }

  /** Told by two looks with nothing asked between them, so that requests need not note the time. */
  #hasRestedLong(socket: Socket): boolean {
    const last = this.#last.get(socket);
    if (last === undefined || !last.request.complete || !isAnswered(last)) return false;
    const rest = this.#rests.get(socket);
    if (rest?.after === last.request) return performance.now() - rest.atMs >= SPARED_REST_MS;
    this.#rests.set(socket, { after: last.request, atMs: performance.now() });
    return false;
  }

  /** Tunnels are none of our business. */
  refuseTunnel(socket: Duplex): void {
    refuse(socket, { code: 405, text: "Method Not Allowed" });
  }
}

function isAnswered({ response }: LastExchange): boolean {
  return response.writableFinished;
}

function statusOf(error: NodeJS.ErrnoException): Status {
  return STATUS_OF.get(error.code ?? "") ?? BAD_REQUEST;
}

function refuse(socket: Duplex, { code, text }: Status): void {
  socket.write(`HTTP/1.1 ${code} ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  linger(socket);
}
