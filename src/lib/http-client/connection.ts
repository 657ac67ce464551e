import type { Socket } from "node:net";
import { DEADLINES, type Deadline } from "../deadlines.ts";
import { HttpClientError, toError } from "./http-client-error.ts";
import type { SocketTarget } from "./open-socket.ts";
import type { Carrier, PendingRequest } from "./pending-request.ts";
import { encodeRequestHead } from "./request-head.ts";
import type { HttpRequest } from "./request-sender.ts";
import { ResponseParser } from "./response-parser.ts";

/** Who owns connections and gives them their requests. */
export interface ConnectionOwner {
  /** It is open and can take its first request. */
  opened(connection: Connection): void;
  /** It has served its request and can take another. */
  free(connection: Connection): void;
  /** It never came to be. */
  refused(connection: Connection, error: Error): void;
  /** It has ended after it was open. */
  gone(connection: Connection): void;
}

/** Up to this, a body leaves as one string with its head: a copy costs less than a second write. */
const MAX_JOINED_BYTES = 4_096;
/** For how long one is kept whose server has not said anything yet. */
const UNUSED_MS = 4_000;

/**
 * One connection to an origin, over which one request goes after the other.
 *
 * Whatever is not as it should be ends it: an answer that cannot be read, bytes that nobody asked for, a handler that
 * throws, a request that is broken off.
 */
export class Connection implements Carrier {
  /** Of a free one: when it is no longer to be used, by `performance.now()`. */
  idleUntilMs = 0;
  readonly #target: SocketTarget;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser = new ResponseParser();
  #phase: "connecting" | "free" | "busy" | "closed" = "connecting";
  #pending: PendingRequest | undefined;
  #isPaused = false;
  #connectDeadline: Deadline | undefined;

  /** Begins to dial. */
  constructor(target: SocketTarget, connectMs: number, owner: ConnectionOwner) {
    this.#target = target;
    this.#owner = owner;
    this.#socket = target.open((length, bytes) => this.#read(length, bytes));
    this.#socket
      .once(target.isTls ? "secureConnect" : "connect", () => this.#connected())
      .on("error", (error) => this.#break(error))
      // While it is being opened, why it ended is told afterwards.
      .on("end", () => this.#phase !== "connecting" && this.#ended())
      .on("close", () => this.#ended());
    this.#connectDeadline = DEADLINES.add(connectMs, () => {
      this.#break(new HttpClientError("ERR_CONNECT_TIMEOUT", "no connection in time"));
    });
  }

  /**
   * Sends a request, if the connection is free and the request is still wanted. False if nothing was sent and the
   * connection is as free as before: then the request is over.
   */
  send(pending: PendingRequest): boolean {
    const { request } = pending;
    let head: string;
    this.#pending = pending;
    this.#parser.reset();
    try {
      head = encodeRequestHead(this.#target.host, request);
      this.#phase = "busy";
      pending.leaveBy(this);
    } catch (thrown) {
      this.#pending = undefined;
      if (this.#isOpen()) this.#phase = "free";
      pending.fail(toError(thrown));
      // The handler may have broken the request off before it threw.
      return !this.#isOpen();
    }
    if (this.#isOpen()) this.#write(head, request.body);
    return true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#setPaused(false);
    if (this.#parser.isDone) this.#complete();
  }

  drop(): void {
    this.#close();
  }

  /** Ends it, and with this error the request that is under way. */
  break(error: Error): void {
    this.#break(error);
  }

  #connected(): void {
    if (this.#phase !== "connecting") return;
    this.#connectDeadline?.cancel();
    this.#connectDeadline = undefined;
    this.#phase = "free";
    this.idleUntilMs = performance.now() + UNUSED_MS;
    this.#owner.opened(this);
  }

  #write(head: string, body: HttpRequest["body"]): void {
    const socket = this.#socket;
    if (body === undefined) {
      socket.write(head, "latin1");
    } else if (Buffer.isBuffer(body) && body.length <= MAX_JOINED_BYTES) {
      socket.write(head + body.toString("latin1"), "latin1");
    } else {
      socket.cork();
      socket.write(head, "latin1");
      for (const piece of Buffer.isBuffer(body) ? [body] : body) socket.write(piece);
      socket.uncork();
    }
  }

  #read(length: number, bytes: Buffer): void {
    const pending = this.#pending;
    if (this.#phase === "closed") return;
    if (pending === undefined || this.#parser.isDone) {
      this.#break(new HttpClientError("ERR_MALFORMED_RESPONSE", "an answer to no request"));
      return;
    }
    try {
      // The bytes are read to their end before anybody hears of them: whoever does may let other sockets read into them.
      this.#parser.read(bytes, length);
      this.#handOn(pending);
    } catch (thrown) {
      const error = toError(thrown);
      this.#break(error);
      // Even one that had paused: whoever throws does not ask for the rest.
      pending.fail(error);
    }
  }

  #handOn(pending: PendingRequest): void {
    const { handler } = pending;
    const { head, body } = this.#parser;
    // A connection that waits would keep them.
    this.#parser.forget();
    if (head !== undefined) handler.onHeaders(head.status, head.headers);
    if (pending.isOver) return;
    if (body !== undefined) this.#setPaused(!handler.onData(body));
    if (!pending.isOver && !this.#isPaused && this.#parser.isDone) this.#complete();
  }

  #setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** The response is whole: the connection is free before the handler hears of it, which may want it at once. */
  #complete(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (this.#isOpen()) this.#release();
    pending?.complete();
  }

  #release(): void {
    const { keepAliveMs } = this.#parser;
    // A server may answer before it has read all of the request; the rest would be read as the next one.
    if (keepAliveMs === 0 || this.#socket.writableLength > 0) {
      this.#close();
      return;
    }
    this.#phase = "free";
    this.idleUntilMs = performance.now() + keepAliveMs;
    this.#owner.free(this);
  }

  /** The other side has closed, or the socket has. */
  #ended(): void {
    if (this.#phase === "closed") return;
    const isWhole = this.#pending !== undefined && this.#parser.end();
    if (isWhole && !this.#isPaused) this.#complete();
    else this.#break(new HttpClientError("ERR_CONNECTION_CLOSED", "the other side has closed"));
  }

  #break(error: Error): void {
    if (this.#phase === "closed") return;
    const pending = this.#pending;
    // A whole answer that waits to be taken up needs its connection no longer.
    const isAnswered = this.#isPaused && this.#parser.isDone;
    if (!isAnswered) this.#pending = undefined;
    this.#close(error);
    if (!isAnswered) pending?.fail(error);
  }

  #close(error?: Error): void {
    const wasConnecting = this.#phase === "connecting";
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#connectDeadline?.cancel();
    this.#socket.destroy();
    if (wasConnecting && error !== undefined) this.#owner.refused(this, error);
    else this.#owner.gone(this);
  }

  #isOpen(): boolean {
    return this.#phase !== "closed";
  }
}
