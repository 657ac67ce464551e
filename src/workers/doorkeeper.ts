import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { listenError } from "../domain/listen-error.ts";
import { type FirstLook, lookAtHead } from "./request-head.ts";

export interface DoorkeeperOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where this much of a first request is there and still names no session, it is the worker's to judge. */
  readonly maxHeadBytes: number;
  /** To send the head of a first request; then it is refused with 408. */
  readonly headersTimeoutMs: number;
  /** Connections that wait here to be looked at or taken; beyond them new ones are closed at once. */
  readonly maxConnections: number;
  /** Takes a connection with the bytes that were read from it. It is paused, and nothing more is read here. */
  readonly admit: (socket: Socket, firstBytes: Buffer, sessionId: string | undefined) => void;
}

/**
 * A head that comes in more pieces than this is left to a worker, which passes on what turns out to be another's:
 * looking at each piece again costs more than that.
 */
const MAX_PIECES = 8;

/** How long a client that was refused may take to read it. */
const LINGER_MS = 1_000;

/** Accepts every connection and reads just as much of it as tells whose session it is about. */
export class Doorkeeper implements AsyncDisposable {
  readonly #options: DoorkeeperOptions;
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();

  constructor(options: DoorkeeperOptions) {
    this.#options = options;
    // A mark of one byte has Node stop reading a paused connection as soon as there is anything: what has not been read
    // goes to the worker with the connection.
    const reading = { pauseOnConnect: true, highWaterMark: 1 };
    this.#server = createServer({ ...reading, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#look(socket),
    );
    this.#server.maxConnections = options.maxConnections;
  }

  /** Resolves with the port; rejects with `address_in_use` or `invalid_config`. */
  async listen(): Promise<number> {
    const { host, port } = this.#options;
    try {
      this.#server.listen(port, host);
      await once(this.#server, "listening");
    } catch (error) {
      // What a listener fails with is an error of the system.
      throw listenError(error as NodeJS.ErrnoException, host, port);
    }
    // A listening TCP server has an address of this shape.
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no new connection. Those that have come are still looked at. Safe to repeat. */
  stop(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Takes no new connection and closes those that nobody has taken yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    for (const socket of this.#waiting) socket.destroy();
  }

  #look(socket: Socket): void {
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => refuse(socket), this.#options.headersTimeoutMs);
    const forget = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
    };
    const decide = (sessionId: string | undefined): void => {
      socket.removeListener("data", onData).removeListener("end", onEnd);
      forget();
      if (!socket.destroyed) this.#options.admit(socket, Buffer.concat(chunks), sessionId);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const look = this.#lookAt(chunks);
      if (look.kind === "undecided") return;
      // Paused and with a byte waiting, the connection is read no further.
      socket.pause();
      socket.unshift(chunk);
      queueMicrotask(() => decide(look.sessionId));
    };
    // After the end nothing can be missed, and a worker sees it again.
    const onEnd = (): void => (chunks.length > 0 ? decide(undefined) : void socket.destroy());
    this.#waiting.add(socket);
    // One that breaks while it waits has nobody to be told.
    socket.on("error", () => socket.destroy()).on("close", forget);
    socket.on("data", onData).on("end", onEnd);
    socket.resume();
  }

  #lookAt(chunks: readonly Buffer[]): FirstLook {
    const bytes = Buffer.concat(chunks);
    const isEnough = bytes.length >= this.#options.maxHeadBytes || chunks.length >= MAX_PIECES;
    const look = lookAtHead(bytes);
    return look.kind === "undecided" && isEnough ? NO_SESSION : look;
  }
}

const NO_SESSION: FirstLook = { kind: "decided", sessionId: undefined };

/** As the HTTP server says it to those who are slow later on. */
function refuse(socket: Socket): void {
  socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
