import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** What goes wrong on one way through the proxy. What is not named is as it should be. */
export interface WayFault {
  /** Nothing comes through any more, and nobody is told: half of the connection is dead. */
  readonly isStalled?: boolean;
  /** Each piece comes this much later. */
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
  /** After this many further bytes of a connection it is closed in mid-message. */
  readonly cutAfterBytes?: number;
}

/** The faults of both ways of every connection, those that are open now included. */
export interface ProxyFaults {
  readonly toBackend?: WayFault;
  readonly toClient?: WayFault;
}

export type HowToEnd = "cut" | "reset";

/** A TCP proxy to `targetPort` on loopback, on a port of its own. It does what its test tells it to. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const proxy = new FaultProxy(targetPort);
  await proxy.accept();
  return proxy;
}

/** Made by `startFaultProxy`. Knows nothing of HTTP: all it sees is bytes. */
export class FaultProxy implements AsyncDisposable {
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #connections = new Set<ProxiedConnection>();
  #faults: ProxyFaults = {};
  #port = 0;
  #acceptedConnections = 0;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    // An end of one side is passed on as such: the other may still have something to say.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#adopt(client));
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that the client has neither closed nor begun to close. */
  get openConnections(): number {
    return [...this.#connections].filter((connection) => connection.isClientOpen).length;
  }

  /** Connections since the start. */
  get acceptedConnections(): number {
    return this.#acceptedConnections;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  /** Replaces every fault. Bytes that were held back by the old ones and by none of the new go on. */
  change(faults: ProxyFaults): void {
    this.#faults = faults;
    for (const connection of this.#connections) connection.change(faults);
  }

  heal(): void {
    this.change({});
  }

  /** Kills both ways of the connections that are open now, without a word to anybody. New ones are sound. */
  stallOpen(): void {
    for (const connection of this.#connections) {
      connection.change({ toBackend: { isStalled: true }, toClient: { isStalled: true } });
    }
  }

  /** Ends every open connection on both sides: by an orderly close, or by a reset. */
  endAll(how: HowToEnd): void {
    for (const connection of this.#connections) connection.end(how);
  }

  /** Refuses new connections until `accept`; those that are open go on. */
  refuse(): void {
    this.#server.close();
  }

  /** Listens, on the port of the first time. Does nothing where it listens already. */
  async accept(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    // A server that listens on TCP has an address object.
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#connections.size > 0 || this.#server.listening;
    this.refuse();
    this.endAll("cut");
    if (closed) await once(this.#server, "close");
  }

  #adopt(client: Socket): void {
    this.#acceptedConnections += 1;
    const backend = connect({ port: this.#targetPort, host: "127.0.0.1", allowHalfOpen: true });
    const connection = new ProxiedConnection(client, backend, () =>
      this.#connections.delete(connection),
    );
    this.#connections.add(connection);
    connection.change(this.#faults);
  }
}

class ProxiedConnection {
  readonly #client: Socket;
  readonly #backend: Socket;
  readonly #toBackend: Way;
  readonly #toClient: Way;

  constructor(client: Socket, backend: Socket, onClosed: () => void) {
    this.#client = client;
    this.#backend = backend;
    this.#toBackend = new Way(client, backend, () => this.end("cut"));
    this.#toClient = new Way(backend, client, () => this.end("cut"));
    for (const socket of [client, backend]) {
      socket.on("error", () => {});
      socket.once("close", (isBroken) => {
        this.#closed(socket, isBroken);
        if (client.destroyed && backend.destroyed) onClosed();
      });
    }
  }

  get isClientOpen(): boolean {
    return !this.#client.destroyed && !this.#client.readableEnded;
  }

  change({ toBackend = {}, toClient = {} }: ProxyFaults): void {
    this.#toBackend.change(toBackend);
    this.#toClient.change(toClient);
  }

  end(how: HowToEnd): void {
    for (const socket of [this.#client, this.#backend]) {
      if (how === "reset" && !socket.connecting) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  /** A side that broke breaks the other, unless the way between them carries no such news. */
  #closed(socket: Socket, isBroken: boolean): void {
    const way = socket === this.#client ? this.#toBackend : this.#toClient;
    if (way.isStalled) return;
    if (isBroken) this.end("reset");
    else way.finish();
  }
}

/** Bytes from one socket to the other, through what is wrong between them. */
class Way {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #onCut: () => void;
  #queue: Buffer[] = [];
  #fault: WayFault = {};
  #bytesLeft = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, onCut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#onCut = onCut;
    from.on("data", (chunk) => {
      this.#queue.push(chunk);
      if (this.#queue.length > MAX_QUEUE) from.pause();
      this.#pump();
    });
    from.on("end", () => this.finish());
    to.on("drain", () => this.#pump());
    to.on("close", () => clearTimeout(this.#timer));
  }

  get isStalled(): boolean {
    return this.#fault.isStalled === true;
  }

  change(fault: WayFault): void {
    this.#fault = fault;
    this.#bytesLeft = fault.cutAfterBytes ?? Number.POSITIVE_INFINITY;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // The side that ended while it was not heard has ended all the same.
    if (this.#from.destroyed) this.#isEnding = true;
    this.#pump();
  }

  /** Nothing follows what is still in the queue. */
  finish(): void {
    this.#isEnding = true;
    this.#pump();
  }

  #pump(): void {
    while (this.#mayWrite()) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) break;
      if (this.#waits()) {
        this.#writeLater(chunk);
        return;
      }
      this.#write(chunk);
    }
    if (this.#queue.length === 0 && this.#mayWrite()) this.#idle();
  }

  #idle(): void {
    this.#from.resume();
    if (this.#isEnding && !this.#to.writableEnded) this.#to.end();
  }

  #mayWrite(): boolean {
    const isFree = this.#timer === undefined && !this.#to.writableNeedDrain;
    return isFree && !this.isStalled && !this.#to.destroyed;
  }

  #waits(): boolean {
    return this.#fault.delayMs !== undefined || this.#fault.bytesPerSecond !== undefined;
  }

  /** Each piece waits for the one before it, so that they stay in order. */
  #writeLater(chunk: Buffer): void {
    const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = this.#fault;
    const size = Math.min(chunk.length, Math.max(1, Math.ceil(bytesPerSecond / TURNS_PER_SECOND)));
    const rest = chunk.subarray(size);
    if (rest.length > 0) this.#queue.unshift(rest);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.isStalled) this.#queue.unshift(chunk.subarray(0, size));
        else this.#write(chunk.subarray(0, size));
        this.#pump();
      },
      delayMs + (size / bytesPerSecond) * 1_000,
    );
  }

  #write(chunk: Buffer): void {
    const allowed = chunk.subarray(0, Math.min(chunk.length, this.#bytesLeft));
    this.#bytesLeft -= allowed.length;
    if (this.#to.destroyed) return;
    if (this.#bytesLeft > 0) this.#to.write(allowed);
    else this.#to.write(allowed, this.#onCut);
  }
}

/** Pieces that wait for one side before the other is no longer read. */
const MAX_QUEUE = 64;

/** How finely a slow way is cut up. */
const TURNS_PER_SECOND = 20;
