import type { VmcpError } from "../domain/errors.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import { joined } from "../mcp/message-bytes.ts";
import { CallClock, type ClockExpiry } from "./call-clock.ts";
import { expiryError, notExecuted } from "./failures.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { ChannelRequest } from "./ports.ts";
import { faultOfAnswer } from "./read-messages.ts";

/** What a call needs of those that it shares its connection with. */
export interface CallTable {
  readonly settings: BackendSettings;
  tellCancelled(id: RequestId, reason: string): void;
  setPaused(call: SharedCall, isPaused: boolean): void;
  /** Nobody waits for the answer any longer; what has not left of the request need not leave. */
  ended(call: SharedCall): void;
}

/** Until a backend has answered one of these it need not know any other message; whoever gives one up leaves it. */
const GREETINGS: ReadonlySet<string> = new Set(["initialize", "server/discover"]);

/** One request whose answer comes on a stream that it shares, and the one who waits for it. */
export class SharedCall implements Exchange {
  readonly bytes: Buffer;
  readonly clock: CallClock;
  readonly #table: CallTable;
  readonly #request: ChannelRequest;
  readonly #sink: AnswerSink;
  #isOver = false;
  #isWritten = false;

  constructor(table: CallTable, request: ChannelRequest, sink: AnswerSink) {
    this.#table = table;
    this.#request = request;
    this.#sink = sink;
    this.bytes = joined(request.bytes);
    this.clock = new CallClock(table.settings.timeouts, request, (expiry, afterMs) =>
      this.#expire(expiry, afterMs),
    );
  }

  get id(): RequestId {
    return this.#request.id;
  }

  get progressToken(): RequestId | undefined {
    return this.#request.progressToken;
  }

  /** Whether the backend has no way to ask the client anything during the call, whatever it sends. */
  get isStandalone(): boolean {
    return this.#request.standalone !== undefined;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether a byte of the request may have left. */
  get isWritten(): boolean {
    return this.#isWritten;
  }

  /** To be called before the first byte of the request leaves. */
  onStart(): void {
    this.#isWritten = true;
  }

  progress(event: BackendMessage): void {
    if (this.#isOver) return;
    this.clock.progress();
    if (!this.#sink.event(event)) this.pause();
  }

  /** The first answer counts; what comes after it finds no call any more. */
  settle(answer: BackendMessage): void {
    const fault = faultOfAnswer(answer.message);
    if (fault !== undefined) {
      const { sentence, executionState } = fault;
      const { name } = this.#table.settings;
      this.fail(backendError(name, "backend_protocol", sentence, { executionState }));
    } else if (!this.#isOver) {
      this.#close();
      this.#sink.answer(answer);
    }
  }

  /** Of which nothing was written it is certain that it did not run, whatever else the error says. */
  fail(error: VmcpError): void {
    if (this.#isOver) return;
    this.#close();
    this.#sink.fail(this.#isWritten ? error : notExecuted(error));
  }

  cancel(reason: string): void {
    if (this.#isOver) return;
    this.#close();
    this.#tellCancelled(reason);
  }

  pause(): void {
    if (!this.#isOver) this.#table.setPaused(this, true);
  }

  resume(): void {
    if (!this.#isOver) this.#table.setPaused(this, false);
  }

  #expire(expiry: ClockExpiry, afterMs: number): void {
    const { name } = this.#table.settings;
    const error = expiryError(name, expiry, afterMs, "unknown");
    this.#tellCancelled(error.message);
    this.fail(error);
  }

  #tellCancelled(reason: string): void {
    if (this.#isWritten && !GREETINGS.has(this.#request.method)) {
      this.#table.tellCancelled(this.#request.id, reason);
    }
  }

  #close(): void {
    this.#isOver = true;
    this.clock.stop();
    this.#table.ended(this);
  }
}
