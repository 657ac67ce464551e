import { VmcpError } from "../domain/errors.ts";
import type { AnswerSink, BackendMessage, Exchange, OutboundRequest } from "../mcp/exchange.ts";
import { notExecuted } from "./failures.ts";
import type { BorrowedIds } from "./borrowed-ids.ts";
import type { BackendConnection, ConnectionListener } from "./ports.ts";

/** Opens the backend session of one call. */
export type OpenForCall = (
  listener: ConnectionListener,
  signal: AbortSignal,
) => Promise<BackendConnection>;

/** One call with a backend session of its own, from before it is opened until it is closed. */
export class ScopedCall implements Exchange {
  readonly #request: OutboundRequest;
  readonly #sink: AnswerSink;
  readonly #ids: BorrowedIds<ScopedCall>;
  readonly #leaving = new AbortController();
  #connection: BackendConnection | undefined;
  #exchange: Exchange | undefined;
  #isPaused = false;
  #isOver = false;
  #onOver: (() => void) | undefined;

  constructor(request: OutboundRequest, sink: AnswerSink, ids: BorrowedIds<ScopedCall>) {
    this.#request = request;
    this.#sink = sink;
    this.#ids = ids;
  }

  /** Opens, forwards, waits for the end however it comes, and closes. Never rejects. */
  async run(open: OpenForCall): Promise<void> {
    const listener = {
      unsolicited: (message: BackendMessage) => {
        this.#relay(message);
      },
      lost: () => {},
    };
    try {
      this.#connection = await open(listener, this.#leaving.signal);
      await this.#forward(this.#connection);
    } catch (thrown) {
      // Only opening rejects: the call itself was never sent.
      this.#fail(notExecuted(VmcpError.from(thrown)));
    } finally {
      this.#ids.forget(this);
      await this.#close();
    }
  }

  async send(message: Buffer): Promise<void> {
    await this.#connection?.send(message);
  }

  cancel(reason: string): void {
    if (this.#isOver) return;
    this.#exchange?.cancel(reason);
    this.#over();
    this.#leaving.abort(new VmcpError("cancelled", reason));
  }

  pause(): void {
    this.#isPaused = true;
    this.#exchange?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#exchange?.resume();
  }

  end(error: VmcpError): void {
    if (this.#isOver) return;
    this.cancel(error.message);
    this.#sink.fail(error);
  }

  async #forward(connection: BackendConnection): Promise<void> {
    if (this.#isOver) return;
    await new Promise<void>((resolve) => {
      this.#onOver = resolve;
      this.#exchange = connection.forward(this.#request, {
        event: (message) => this.#relay(message),
        answer: (message) => {
          this.#over();
          this.#sink.answer(message);
        },
        fail: (error) => this.#fail(error),
      });
      if (this.#isPaused) this.#exchange.pause();
    });
  }

  #relay(message: BackendMessage): boolean {
    if (this.#isOver) return true;
    const isRequest = message.message.id !== undefined;
    return this.#sink.event(isRequest ? this.#ids.lend(this, message) : message);
  }

  #fail(error: VmcpError): void {
    if (this.#isOver) return;
    this.#over();
    this.#sink.fail(error);
  }

  #over(): void {
    this.#isOver = true;
    this.#onOver?.();
  }

  /** Whatever goes wrong while closing is of no interest to a call that has its answer. */
  async #close(): Promise<void> {
    try {
      await this.#connection?.[Symbol.asyncDispose]();
    } catch {
      // The channel has let go of everything it could.
    }
  }
}
