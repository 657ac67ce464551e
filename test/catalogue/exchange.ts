import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { eventsIn, type HttpAnswer, HttpReader } from "./http-reader.ts";

/** No answer of the gateway takes longer than its longest limit; what takes longer than this hangs. */
const HANG_MS = 60_000;

/** How long a connection that has to be closed may stay open. */
const CLOSE_MS = 3_000;

/** Written at once; what a server that has already answered does not read is not worth the time to write. */
const WRITE_CHUNK_BYTES = 256 * 1024;

/** A request as it goes out. */
export interface Outgoing {
  readonly head: Buffer;
  readonly body: Uint8Array;
  readonly isChunked: boolean;
}

/**
 * One connection to the gateway: bytes out, answers in. Nothing is followed, retried or repaired.
 *
 * A message in an event stream is told to `onMessage` as soon as it is complete.
 */
export class ClientConnection implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #reader = new HttpReader((text) => this.#hear(text));
  #isClosed = false;
  #events = "";
  #sent = 0;
  /** What somebody waits for, looked at whenever anything happens. */
  readonly #waits = new Set<() => void>();
  /** Everything that came, as text, for those who look for what must not be in it. */
  received = "";
  onMessage: (text: string) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#take(chunk));
    // A reset ends the exchange like a close does.
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => this.#look());
    socket.on("close", () => {
      this.#isClosed = true;
      this.#reader.end();
      this.#look();
    });
  }

  static async open(origin: string): Promise<ClientConnection> {
    const { hostname, port } = new URL(origin);
    const socket = connect(Number(port), hostname);
    socket.setNoDelay(true);
    await once(socket, "connect");
    return new ClientConnection(socket);
  }

  get answers(): readonly HttpAnswer[] {
    return this.#reader.answers;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Writes the request, as far as the gateway takes it: its answer or a close ends the writing. */
  async send({ head, body, isChunked }: Outgoing): Promise<void> {
    const own = this.#sent;
    this.#sent += 1;
    const isOver = (): boolean => this.#isClosed || this.#reader.completeCount > own;
    this.#socket.write(head);
    for (let at = 0; at < body.length && !isOver(); at += WRITE_CHUNK_BYTES) {
      const part = body.subarray(at, at + WRITE_CHUNK_BYTES);
      // One part after the other, as the gateway takes them.
      // oxlint-disable-next-line no-await-in-loop
      await this.#write(isChunked ? chunkOf(part) : part, isOver);
    }
    if (isChunked && !isOver()) await this.#write(Buffer.from("0\r\n\r\n"), isOver);
  }

  /** Writes any bytes. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Resolves when this many answers are complete or the connection is closed. */
  async settled(count: number): Promise<void> {
    await this.#until(() => this.#reader.completeCount >= count, HANG_MS, "an answer");
  }

  /** Resolves when the head of the first answer is there. */
  async begun(): Promise<void> {
    await this.#until(() => this.#reader.hasBegun, HANG_MS, "the head of an answer");
  }

  /** Whether the gateway closes the connection by itself. */
  async closes(): Promise<boolean> {
    try {
      await this.#until(() => false, CLOSE_MS, "the end of the connection");
    } catch {
      // It stays open.
    }
    return this.#isClosed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#socket.destroy();
    await once(this.#socket, "close");
  }

  #take(chunk: Buffer): void {
    this.received += chunk.toString("latin1");
    this.#reader.take(chunk);
    this.#look();
  }

  #look(): void {
    for (const look of this.#waits) look();
  }

  /** Resolves when the condition holds or the connection is closed. */
  async #until(condition: () => boolean, timeoutMs: number, what: string): Promise<void> {
    if (this.#isClosed || condition()) return;
    let timer: NodeJS.Timeout | undefined;
    let look = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        look = () => {
          if (this.#isClosed || condition()) resolve();
        };
        this.#waits.add(look);
        timer = setTimeout(
          () => reject(new Error(`there was not ${what} within ${timeoutMs} ms`)),
          timeoutMs,
        );
      });
    } finally {
      this.#waits.delete(look);
      clearTimeout(timer);
    }
  }

  #hear(text: string): void {
    this.#events += text;
    const end = this.#events.lastIndexOf("\n\n") + 2;
    if (end < 2) return;
    const events = eventsIn(Buffer.from(this.#events.slice(0, end), "latin1").toString());
    this.#events = this.#events.slice(end);
    for (const event of events) this.onMessage(event);
  }

  async #write(bytes: Uint8Array, isOver: () => boolean): Promise<void> {
    if (this.#socket.write(bytes)) return;
    const hasRoom = (): boolean => isOver() || !this.#socket.writableNeedDrain;
    await this.#until(hasRoom, HANG_MS, "room to write");
  }
}

function chunkOf(part: Uint8Array): Buffer {
  const size = Buffer.from(`${part.length.toString(16)}\r\n`);
  return Buffer.concat([size, part, Buffer.from("\r\n")]);
}
