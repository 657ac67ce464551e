import type { Readable, Writable } from "node:stream";
import { VmcpError } from "../domain/errors.ts";
import { BoundedLines } from "../lib/bounded-lines.ts";
import { parseInbound, type MessageLimits } from "../mcp/inbound-message.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import { PipedSession, type ClientPipe, type PipedSessionOptions } from "./piped-session.ts";

export interface StdioHostOptions extends PipedSessionOptions {
  /** The longest line; a longer one is refused and skipped. */
  readonly maxLineBytes: number;
  readonly messageLimits: MessageLimits;
  /** Bytes that may wait for a slow reader before no more is read. */
  readonly outputBufferBytes: number;
}

/** How long a reader may take for the last messages before the output is cut. */
const FLUSH_DEADLINE_MS = 1_000;

/**
 * The stdio edge: one client, one message per line, one session for as long as the input lasts.
 *
 * Nothing but messages is written to the output. A line that is no message is answered with an error, and the
 * next one is read. Source: MCP transports, "stdio".
 */
export class StdioHost implements AsyncDisposable {
  readonly #options: StdioHostOptions;
  readonly #session: PipedSession;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #over: Promise<void>;
  #end: () => void = () => {};
  #hasInputEnded = false;
  #isStopping = false;
  #serving: Promise<void> | undefined;

  /** Takes both streams for its own and destroys the input when it is done. */
  constructor(input: Readable, output: Writable, options: StdioHostOptions) {
    this.#options = options;
    this.#input = input;
    this.#output = output;
    this.#over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#session = new PipedSession(this.#createPipe(), options);
  }

  /** Serves until the input or the session ends, and everything has been answered. Never rejects. */
  async serve(): Promise<void> {
    this.#serving ??= this.#serve();
    await this.#serving;
  }

  /**
   * Ends the service. What was asked for is answered first, unless the client has closed its end too: then
   * nobody waits for anything.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await this.#stop();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    this.#readInput();
    this.#watchOutput();
    await this.#over;
    await this.#flush();
    this.#input.destroy();
  }

  #readInput(): void {
    const lines = new BoundedLines(this.#options.maxLineBytes, {
      line: (line) => this.#session.receive(parseInbound(line, this.#options.messageLimits)),
      tooLong: () => this.#refuseLine(),
    });
    const ended = (): void => {
      if (this.#hasInputEnded) return;
      this.#hasInputEnded = true;
      lines.end();
      void this.#stop();
    };
    this.#input.on("data", (chunk: Buffer) => {
      lines.push(chunk);
      // A client that does not read its answers may not ask for more of them.
      if (this.#isFull()) this.#input.pause();
    });
    this.#input.on("end", ended);
    this.#input.on("close", ended);
    // The close that follows says all there is to say.
    this.#input.on("error", () => {});
  }

  #watchOutput(): void {
    const lost = (): void => void this.#abandon();
    this.#output.on("drain", () => {
      this.#session.drained();
      this.#input.resume();
    });
    this.#output.on("error", lost);
    this.#output.on("close", lost);
  }

  async #stop(): Promise<void> {
    if (this.#isStopping && this.#hasInputEnded) await this.#session.abandon();
    else await this.#session.finish();
    this.#end();
  }

  async #abandon(): Promise<void> {
    await this.#session.abandon();
    this.#end();
  }

  #createPipe(): ClientPipe {
    const isFull = (): boolean => this.#isFull();
    return {
      send: (message) => this.#write(message),
      get isFull() {
        return isFull();
      },
      end: () => void this.#stop(),
    };
  }

  #refuseLine(): void {
    const { maxLineBytes } = this.#options;
    const error = new VmcpError(
      "payload_too_large",
      `The message is larger than ${maxLineBytes} bytes`,
    );
    this.#write(encodeError(undefined, toJsonRpcError(error)));
  }

  #write(message: Buffer): boolean {
    if (!this.#output.writable) return true;
    return this.#output.write(toLine(message));
  }

  #isFull(): boolean {
    return (
      this.#output.writableNeedDrain &&
      this.#output.writableLength > this.#options.outputBufferBytes
    );
  }

  async #flush(): Promise<void> {
    if (!this.#output.writable || this.#output.writableLength === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const isFlushed = await new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, FLUSH_DEADLINE_MS, false);
      this.#output.write("", () => resolve(true));
    });
    clearTimeout(timer);
    if (!isFlushed) this.#output.destroy();
  }
}

/** Raw line breaks inside a message can only be JSON whitespace, and a space is as good. */
function toLine(message: Buffer): Buffer {
  const line = Buffer.allocUnsafe(message.length + 1);
  message.copy(line);
  for (const lineBreak of [LINE_FEED, CARRIAGE_RETURN]) {
    let at = line.subarray(0, message.length).indexOf(lineBreak);
    while (at !== -1) {
      line[at] = SPACE;
      at = line.subarray(0, message.length).indexOf(lineBreak, at + 1);
    }
  }
  line[message.length] = LINE_FEED;
  return line;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
