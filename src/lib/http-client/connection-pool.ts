import { Connection, type ConnectionOwner } from "./connection.ts";
import { HttpClientError } from "./http-client-error.ts";
import { SocketTarget, type SocketTargetOptions } from "./open-socket.ts";
import { PendingRequest } from "./pending-request.ts";
import type { HttpRequest, RequestSender, ResponseHandler } from "./request-sender.ts";

export interface ConnectionPoolOptions extends SocketTargetOptions {
  readonly maxConnections: number;
  /** Until a connection is open, TLS included. */
  readonly connectMs: number;
}

const SWEEP_MS = 1_000;

/**
 * The keep-alive connections to one origin, for HTTP/1.1 without pipelining.
 *
 * A request takes the connection that was free last, or waits for one: each waiting request opens one more until there
 * are as many as may be. Nothing is sent twice, no redirect is followed, no body is decoded. An idle connection is closed
 * a second before the server would do it. Requests without a place wait in their order, without a bound of its own:
 * whoever asks bounds how many.
 */
export class ConnectionPool implements RequestSender, Disposable {
  readonly #target: SocketTarget;
  readonly #options: ConnectionPoolOptions;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  /** Those that have just served a request: some servers close without having said so, which is read a turn later. */
  readonly #resting: Connection[] = [];
  readonly #waiting: PendingRequest[] = [];
  readonly #owner: ConnectionOwner;
  #connecting = 0;
  #sweep: NodeJS.Timeout | undefined;
  #sending: NodeJS.Immediate | undefined;
  /** How many of those that wait did so when the sockets were read last. */
  #due = 0;
  #isClosed = false;

  constructor(origin: string, options: ConnectionPoolOptions) {
    this.#target = new SocketTarget(origin, options);
    this.#options = options;
    this.#owner = {
      opened: (connection) => {
        this.#connecting -= 1;
        this.#keep(connection, this.#free);
        // Nothing old can be met on it. And where a server ends each connection as soon as it is open, a request must
        // end with it: else new ones would be opened without end.
        this.#send(1);
      },
      free: (connection) => this.#keep(connection, this.#resting),
      refused: (connection, error) => this.#refused(connection, error),
      gone: (connection) => this.#gone(connection),
    };
  }

  dispatch(request: HttpRequest, handler: ResponseHandler): void {
    const pending = new PendingRequest(request, handler);
    if (this.#isClosed) {
      queueMicrotask(() => pending.fail(closedError()));
      return;
    }
    this.#waiting.push(pending);
    this.#sendSoon();
  }

  /** Breaks what is under way and refuses what is asked from now on. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#sweep);
    clearImmediate(this.#sending);
    const waiting = this.#waiting.splice(0);
    for (const connection of this.#all) connection.break(closedError());
    for (const pending of waiting) pending.fail(closedError());
  }

  /** The one used last: the others may then grow old and go. */
  #idle(): Connection | undefined {
    for (;;) {
      const connection = this.#free.pop();
      if (connection === undefined || connection.idleUntilMs > performance.now()) return connection;
      connection.drop();
    }
  }

  /**
   * A request leaves once all sockets have been read since it was asked for: the end of an idle connection, or an answer
   * on it to no request, if they are there already, are met before it leaves, and not taken for what became of it.
   */
  #sendSoon(): void {
    this.#sending ??= setImmediate(() => {
      this.#sending = undefined;
      const due = this.#due;
      const hasNewcomers = this.#waiting.length > due;
      this.#due = this.#waiting.length;
      this.#send(due);
      const haveRested = this.#endRest();
      this.#openAsNeeded();
      if (hasNewcomers || (haveRested && this.#waiting.length > 0)) this.#sendSoon();
    });
  }

  #endRest(): boolean {
    if (this.#resting.length === 0) return false;
    for (const connection of this.#resting) this.#free.push(connection);
    this.#resting.length = 0;
    return true;
  }

  /** As many of those that wait as there are connections for. */
  #send(atMost: number): void {
    for (let left = atMost; left > 0; left -= 1) {
      const connection = this.#idle();
      if (connection === undefined) return;
      const next = this.#next();
      if (next === undefined || !connection.send(next)) this.#keep(connection, this.#free);
    }
  }

  #next(): PendingRequest | undefined {
    this.#due = Math.max(this.#due - 1, 0);
    return this.#waiting.shift();
  }

  #openAsNeeded(): void {
    const { connectMs, maxConnections } = this.#options;
    // Those that are free or about to be come first.
    const kept = this.#free.length + this.#resting.length;
    while (this.#waiting.length > kept + this.#connecting && this.#all.size < maxConnections) {
      this.#connecting += 1;
      this.#all.add(new Connection(this.#target, connectMs, this.#owner));
    }
  }

  #keep(connection: Connection, among: Connection[]): void {
    among.push(connection);
    if (this.#waiting.length > 0) this.#sendSoon();
    this.#sweep ??= this.#sweepLater();
  }

  #closeExpired(): void {
    this.#endRest();
    const nowMs = performance.now();
    const expired = this.#free.filter(({ idleUntilMs }) => idleUntilMs <= nowMs);
    for (const connection of expired) connection.drop();
    this.#sweep = this.#free.length > 0 ? this.#sweepLater() : undefined;
  }

  #sweepLater(): NodeJS.Timeout {
    return setTimeout(() => this.#closeExpired(), SWEEP_MS).unref();
  }

  #refused(connection: Connection, error: Error): void {
    this.#connecting -= 1;
    this.#all.delete(connection);
    this.#next()?.fail(error);
    this.#openAsNeeded();
  }

  #gone(connection: Connection): void {
    this.#all.delete(connection);
    remove(this.#free, connection);
    remove(this.#resting, connection);
    this.#openAsNeeded();
  }
}

function remove(connections: Connection[], connection: Connection): void {
  const place = connections.indexOf(connection);
  if (place >= 0) connections.splice(place, 1);
}

function closedError(): HttpClientError {
  return new HttpClientError("ERR_CLIENT_CLOSED", "the connections have been closed");
}
