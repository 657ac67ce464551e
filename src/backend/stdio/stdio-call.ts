import type { VmcpError } from "../../domain/errors.ts";
import type { AnswerSink, BackendMessage, Exchange, OutboundRequest } from "../../mcp/exchange.ts";
import type { RequestId } from "../../mcp/json-rpc.ts";
import { CallClock, type ClockExpiry } from "../call-clock.ts";
import { expiryError, notExecuted } from "../failures.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { faultOfAnswer } from "../read-messages.ts";
import type { OutgoingLine } from "./line-writer.ts";

/** What a call needs of the channel that it belongs to. */
export interface StdioRoute {
  readonly settings: BackendSettings;
  /** Takes back the call's message if none of it has left. */
  withdraw(line: OutgoingLine): void;
  tellCancelled(id: RequestId, reason: string): void;
  setPaused(call: StdioCall, isPaused: boolean): void;
  ended(call: StdioCall): void;
}

/** One request to a child and the one who waits for its answer. */
export class StdioCall implements Exchange {
  readonly clock: CallClock;
  readonly line: OutgoingLine;
  readonly #route: StdioRoute;
  readonly #request: OutboundRequest;
  readonly #sink: AnswerSink;
  #isOver = false;
  #isWritten = false;

  constructor(route: StdioRoute, request: OutboundRequest, sink: AnswerSink) {
    this.#route = route;
    this.#request = request;
    this.#sink = sink;
    this.line = {
      bytes: request.bytes,
      onStart: () => {
        this.#isWritten = true;
      },
    };
    this.clock = new CallClock(route.settings.timeouts, request.timeoutMs, (expiry, afterMs) =>
      this.#expire(expiry, afterMs),
    );
  }

  get id(): RequestId {
    return this.#request.id;
  }

  get progressToken(): RequestId | undefined {
    return this.#request.progressToken;
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
      const { name } = this.#route.settings;
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
    if (!this.#isOver) this.#route.setPaused(this, true);
  }

  resume(): void {
    if (!this.#isOver) this.#route.setPaused(this, false);
  }

  #expire(expiry: ClockExpiry, afterMs: number): void {
    const { name } = this.#route.settings;
    const error = expiryError(name, expiry, afterMs, "unknown");
    this.#tellCancelled(error.message);
    this.fail(error);
  }

  #tellCancelled(reason: string): void {
    if (this.#isWritten && this.#request.method !== "initialize") {
      this.#route.tellCancelled(this.#request.id, reason);
    }
  }

  #close(): void {
    this.#isOver = true;
    this.clock.stop();
    this.#route.withdraw(this.line);
    this.#route.ended(this);
  }
}
