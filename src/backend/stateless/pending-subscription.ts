import type { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { AnswerSink, Exchange, OutboundRequest } from "../../mcp/exchange.ts";
import { INVALID_PARAMS, type JsonRpcError } from "../../mcp/json-rpc.ts";
import { closedByGatewayError, expiryError } from "../failures.ts";
import type { BackendSettings } from "../options.ts";
import { emptyAnswer, errorAnswer } from "./local-requests.ts";

/** A client's wish to hear of one resource, until the backend has said whether it will tell. */
export class PendingSubscription implements Exchange {
  readonly uri: string;
  readonly #request: OutboundRequest;
  readonly #sink: AnswerSink;
  readonly #backend: string;
  readonly #onEnd: (isHeld: boolean) => void;
  readonly #deadline: Deadline;
  #isOver = false;

  constructor(
    uri: string,
    request: OutboundRequest,
    sink: AnswerSink,
    { name, timeouts }: BackendSettings,
    onEnd: (isHeld: boolean) => void,
  ) {
    const timeoutMs = request.timeoutMs ?? timeouts.callMs;
    this.uri = uri;
    this.#request = request;
    this.#sink = sink;
    this.#backend = name;
    this.#onEnd = onEnd;
    this.#deadline = DEADLINES.add(timeoutMs, () =>
      this.fail(expiryError(name, "backend_timeout", timeoutMs, "unknown")),
    );
  }

  settle(isConfirmed: boolean): void {
    if (isConfirmed) {
      if (this.#end(true)) this.#sink.answer(emptyAnswer(this.#request));
      return;
    }
    const message = `Backend "${this.#backend}" does not tell of changes of this resource`;
    this.refuse({ code: INVALID_PARAMS, message });
  }

  refuse(error: JsonRpcError): void {
    if (this.#end()) this.#sink.answer(errorAnswer(this.#request, error));
  }

  fail(error: VmcpError): void {
    if (this.#end()) this.#sink.fail(error);
  }

  /** The connection is closed. */
  drop(): void {
    this.fail(closedByGatewayError(this.#backend, true));
  }

  cancel(): void {
    this.#end();
  }

  pause(): void {}

  resume(): void {}

  #end(isHeld = false): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#deadline.cancel();
    this.#onEnd(isHeld);
    return true;
  }
}
