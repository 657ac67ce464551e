import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
} from "../../mcp/exchange.ts";
import type { InboundRequest, InboundResponse } from "../../mcp/inbound-message.ts";
import { encodeError, type JsonRpcError, type RequestId } from "../../mcp/json-rpc.ts";
import { spansAt } from "../../mcp/json-paths.ts";
import { refusalByAbilities } from "../../session/client-abilities.ts";
import type { OutletListener } from "./answer-outlet.ts";
import { asksForInput } from "./client-answer.ts";
import {
  ASKING_METHODS,
  capabilityMissing,
  DROPPED_QUESTION,
  REFUSED_REQUEST,
  toInputRequest,
} from "./input-requests.ts";
import type { RoundBinding } from "./request-states.ts";

/** One request of the client that waits for what becomes of the call. */
export interface Caller {
  readonly envelope: ClientEnvelope;
  readonly outlet: { listen(listener: OutletListener): void };
  /** Passes on progress and log messages, as far as the client asked for them. False asks to wait. */
  event(message: BackendMessage): boolean;
  answer(answer: BackendMessage, requestState?: string): void;
  /** Ends the request with the question for more. */
  askForInput(inputRequestsJson: string, requestState: string): void;
  fail(error: VmcpError): void;
}

/** What a call needs of the edge it came in by. */
export interface RoundHost {
  /** Gives the client's answer to a backend's request to the session. */
  answer(response: InboundResponse): void;
  /** A notification that belongs to no request. */
  notify(message: BackendMessage): void;
  /** Keeps the call until its client comes back; returns the state by which it does. */
  park(round: Round): string;
  /** Returns what the client is to give back in place of the state that a stateless backend gave. */
  relay(state: string, serverId: string, binding: RoundBinding): string;
}

/** What a backend asked of the client during the call and was not told yet. */
interface Question {
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject | undefined;
  /** As it stands in `inputRequests`. */
  readonly json: string;
}

/**
 * One call, over all the requests that its client makes for it.
 *
 * A sessionful backend asks the client by requests of its own while the call goes on. Here that ends the client's
 * request with the question; the call waits, and the next request of the client brings the answer and takes its
 * place. While nobody waits, the outcome is kept for the one who comes back.
 */
export class Round implements AnswerSink {
  readonly binding: RoundBinding;
  readonly #host: RoundHost;
  readonly #questions = new Map<string, Question>();
  #caller: Caller | undefined;
  #exchange: Exchange = ENDED_EXCHANGE;
  #outcome: ((caller: Caller) => void) | undefined;
  #isOver = false;
  #isAskingSoon = false;
  #asked = 0;
  #deadline: Deadline | undefined;

  constructor(binding: RoundBinding, host: RoundHost) {
    this.binding = binding;
    this.#host = host;
  }

  /** Ties the call to the one who waits for it. */
  follow(exchange: Exchange, caller: Caller): void {
    this.#exchange = exchange;
    this.#serve(caller);
  }

  /**
   * Goes on with a client that came back: what it answers goes to the backend, what it leaves out is asked again.
   * `request` is the message that brought the answers.
   */
  resume(caller: Caller, request: InboundRequest): void {
    this.#deadline?.cancel();
    this.#serve(caller);
    for (const [key, question] of this.#questions) {
      const response = toResponse(question.id, key, request);
      if (response === undefined) continue;
      this.#questions.delete(key);
      this.#host.answer(response);
    }
    if (this.#outcome !== undefined) this.#deliver(this.#outcome);
    else if (this.#questions.size > 0) this.#ask();
  }

  /** Waits for the client to come back; `gaveUp` is called if it does not in time, and the call is cancelled. */
  waitFor(ms: number, gaveUp: () => void): void {
    this.#deadline = DEADLINES.add(ms, () => {
      gaveUp();
      this.abandon("The client did not come back with the answer");
    });
  }

  /** Nobody will come back. */
  abandon(reason: string): void {
    this.#deadline?.cancel();
    this.#isOver = true;
    this.#outcome = undefined;
    this.#caller = undefined;
    this.#exchange.cancel(reason);
    this.#dropQuestions();
  }

  event(event: BackendMessage): boolean {
    const { id, method, params } = event.message;
    if (this.#isOver) return true;
    if (id !== undefined) {
      this.#hearQuestion(id, event);
      return true;
    }
    if (method === "notifications/progress" || method === "notifications/message") {
      return this.#caller?.event(event) ?? true;
    }
    if (method === "notifications/cancelled") this.#withdraw(params?.["requestId"]);
    else this.#host.notify(event);
    return true;
  }

  answer(answer: BackendMessage): void {
    const state = answer.message.result?.["requestState"];
    const isRelayed = asksForInput(answer.message.result) && typeof state === "string";
    this.#end((caller) => {
      const { serverId = "" } = this.#exchange;
      const given = isRelayed ? this.#host.relay(state, serverId, this.binding) : undefined;
      caller.answer(answer, given);
    });
  }

  fail(error: VmcpError): void {
    this.#end((caller) => caller.fail(error));
  }

  cancelled(): void {
    this.fail(new VmcpError("cancelled", "The call was cancelled"));
  }

  #serve(caller: Caller): void {
    this.#caller = caller;
    caller.outlet.listen({
      drained: () => this.#exchange.resume(),
      // Closing the stream is how a request is cancelled (Streamable HTTP, "Cancellation").
      closed: () => this.abandon("The client closed the stream of its request"),
    });
  }

  #end(outcome: (caller: Caller) => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dropQuestions();
    this.#deliver(outcome);
  }

  #deliver(outcome: (caller: Caller) => void): void {
    if (this.#caller === undefined) this.#outcome = outcome;
    else outcome(this.#caller);
  }

  /** A question that stays open takes one of the few places that the backend has for them in the session. */
  #dropQuestions(): void {
    const ids = [...this.#questions.values()].map(({ id }) => id);
    this.#questions.clear();
    for (const id of ids) this.#refuse(id, DROPPED_QUESTION);
  }

  #refuse(id: RequestId, error: JsonRpcError): void {
    this.#host.answer(toOwnResponse(id, encodeError(JSON.stringify(id), error)));
  }

  #hearQuestion(id: RequestId, { bytes, message }: BackendMessage): void {
    const { method = "", params } = message;
    const json = toInputRequest(method, bytes);
    if (json === undefined || !ASKING_METHODS.has(this.binding.method)) {
      this.#refuse(id, REFUSED_REQUEST);
      return;
    }
    this.#asked += 1;
    this.#questions.set(`input-${this.#asked}`, { id, method, params, json });
    if (this.#caller === undefined || this.#isAskingSoon) return;
    this.#isAskingSoon = true;
    // A backend may ask several things at once, of which the client should hear together.
    setImmediate(() => {
      this.#isAskingSoon = false;
      if (!this.#isOver && this.#caller !== undefined && this.#questions.size > 0) this.#ask();
    });
  }

  /** Ends the client's request with all that is to be asked. */
  #ask(): void {
    const caller = this.#caller;
    if (caller === undefined) return;
    const questions = [...this.#questions];
    for (const [, { method, params }] of questions) {
      const refusal = refusalByAbilities(caller.envelope.capabilities, method, params);
      if (refusal === undefined) continue;
      this.abandon("The client lacks what the backend needs");
      caller.fail(capabilityMissing(method, params));
      return;
    }
    this.#caller = undefined;
    const entries = questions.map(([key, { json }]) => `${JSON.stringify(key)}:${json}`);
    caller.askForInput(`{${entries.join(",")}}`, this.#host.park(this));
    // Nobody reads while the client thinks: what comes must not wait for a drain.
    this.#exchange.resume();
  }

  #withdraw(requestId: unknown): void {
    for (const [key, { id }] of this.#questions) if (id === requestId) this.#questions.delete(key);
  }
}

/** What the client gave under that key, as the answer to the backend's request; undefined where it gave nothing. */
function toResponse(
  id: RequestId,
  key: string,
  { params, bytes }: InboundRequest,
): InboundResponse | undefined {
  const given = params?.["inputResponses"];
  if (!isJsonObject(given) || !Object.hasOwn(given, key)) return undefined;
  const [span] = spansAt(bytes, ["params", "inputResponses", key]);
  if (span === undefined) return undefined;
  const result = bytes.toString("utf8", span.valueStart, span.valueEnd);
  return toOwnResponse(
    id,
    Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`),
  );
}

function toOwnResponse(id: RequestId, bytes: Buffer): InboundResponse {
  const start = OPENING.length;
  return {
    kind: "response",
    id,
    idSpan: { start, end: start + Buffer.byteLength(JSON.stringify(id)) },
    bytes,
  };
}

const OPENING = '{"jsonrpc":"2.0","id":';
