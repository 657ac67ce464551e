import type { VmcpError } from "../domain/errors.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
} from "../mcp/exchange.ts";
import type { CallRecord } from "./session-audit.ts";

/** Stands between a call and its client, and has the end on record before the client hears of it. */
export class AuditedExchange implements AnswerSink, Exchange {
  readonly #record: CallRecord;
  readonly #sink: AnswerSink;
  #exchange: Exchange = ENDED_EXCHANGE;

  constructor(record: CallRecord, sink: AnswerSink) {
    this.#record = record;
    this.#sink = sink;
  }

  /** The call under way; nothing flows before this is known. */
  follow(exchange: Exchange): this {
    this.#exchange = exchange;
    return this;
  }

  get backend(): string | undefined {
    return this.#exchange.backend;
  }

  get serverId(): string | undefined {
    return this.#exchange.serverId;
  }

  event(message: BackendMessage): boolean {
    return this.#sink.event(message);
  }

  answer(message: BackendMessage): void {
    this.#record.answered(message, this.#exchange.backend);
    this.#sink.answer(message);
  }

  fail(error: VmcpError): void {
    this.#record.failed(error, this.#exchange.backend);
    this.#sink.fail(error);
  }

  cancelled(): void {
    this.#record.cancelled(this.#exchange.backend);
    this.#sink.cancelled?.();
  }

  cancel(reason: string): void {
    this.#record.cancelled(this.#exchange.backend);
    this.#exchange.cancel(reason);
  }

  pause(): void {
    this.#exchange.pause();
  }

  resume(): void {
    this.#exchange.resume();
  }
}
