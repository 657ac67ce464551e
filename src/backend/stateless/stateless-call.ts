import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import { METHOD_NOT_FOUND, type JsonRpcError } from "../../mcp/json-rpc.ts";
import { expiryError, notExecuted } from "../failures.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { inputRefused, mayHaveRun, needsCapability, otherRevision } from "./call-errors.ts";
import { HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_REVISION } from "./error-codes.ts";
import type { InputDesk } from "./input-desk.ts";
import { readInputRequired, type InputRequired } from "./input-required.ts";
import { InputRound, type RoundHost } from "./input-round.ts";
import { errorAnswer, idJsonOf } from "./local-requests.ts";
import { forSession, forStatelessClient, withId } from "./result-bytes.ts";
import type { RoundRequest, StatelessWire } from "./stateless-wire.ts";

/** A backend that still asks after so many rounds would ask for ever. */
const MAX_ROUNDS = 10;

/** Who wants to be asked again without a question is short of something: after the first time it is given some time. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/** What a call needs of the connection that it is made on. */
export interface CallHost {
  readonly settings: BackendSettings;
  readonly wire: StatelessWire;
  readonly inputs: InputDesk;
  /** An id for a request of the gateway's own, no other request has it. */
  mintId(): string;
  /** Lists the tools again, whose definitions say what is to be in headers. */
  refreshTools(signal: AbortSignal): Promise<void>;
  /** Whether the backend says of itself that it knows the method. */
  announces(method: string): boolean;
  ended(call: StatelessCall): void;
}

/**
 * One request of a client, which is one request to the backend or, where the client has a session and the backend
 * asks it for input, one for each round.
 *
 * Between two rounds nothing is under way to the backend: only the client is waited for. From the second round on
 * nobody can say that nothing ran.
 */
export class StatelessCall implements Exchange, AnswerSink, RoundHost {
  readonly #host: CallHost;
  readonly #request: OutboundRequest;
  readonly #sink: AnswerSink;
  #exchange: Exchange = ENDED_EXCHANGE;
  #round: RoundRequest | undefined;
  #roundsAsked = 0;
  #requestStateJson: string | undefined;
  #inputs: InputRound | undefined;
  #patience: Deadline | undefined;
  #refreshing: AbortController | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(host: CallHost, request: OutboundRequest, sink: AnswerSink) {
    this.#host = host;
    this.#request = request;
    this.#sink = sink;
  }

  start(): void {
    this.#exchange = this.#host.wire.forward(this.#request, this, this.#round);
    if (this.#isPaused) this.#exchange.pause();
  }

  event(event: BackendMessage): boolean {
    // Such a backend asks by its answers; what it asks in between it has no way to hear the answer of.
    if (this.#isOver || event.message.id !== undefined) return true;
    return this.#sink.event(event);
  }

  answer(answer: BackendMessage): void {
    if (this.#isOver) return;
    const { result, error } = answer.message;
    if (error === undefined) this.#takeResult(answer, result?.["resultType"] ?? "complete");
    else this.#takeError(answer, error);
  }

  fail(error: VmcpError): void {
    if (this.#isOver) return;
    const isDoubtful = error.code === "backend_http_4xx" && this.#isOtherFamily();
    this.#fail(isDoubtful ? otherRevision(this.#host.settings.name) : error);
  }

  cancel(reason: string): void {
    if (this.#isOver) return;
    this.#close();
    this.#exchange.cancel(reason);
    this.#refreshing?.abort(new VmcpError("cancelled", reason));
    this.#inputs?.withdraw(reason);
  }

  /** Ends the call from our side. */
  end(error: VmcpError): void {
    if (this.#isOver) return;
    this.cancel(error.message);
    this.#sink.fail(error);
  }

  pause(): void {
    this.#isPaused = true;
    this.#exchange.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#exchange.resume();
  }

  askClient(question: BackendMessage): void {
    if (!this.#isOver) this.#sink.event(question);
  }

  answered(inputResponsesJson: string): void {
    if (this.#isOver) return;
    this.#patience?.cancel();
    this.#inputs = undefined;
    this.#startRound(inputResponsesJson);
  }

  refused(error: JsonRpcError): void {
    if (this.#isOver) return;
    const { name } = this.#host.settings;
    this.#finish(errorAnswer(this.#request, inputRefused(name, error)));
  }

  #takeResult(answer: BackendMessage, resultType: unknown): void {
    if (this.#request.envelope !== undefined) {
      this.#finish(forStatelessClient(answer));
    } else if (resultType === "complete") {
      this.#finish(forSession(answer));
    } else if (resultType === "input_required") {
      this.#askForInput(answer);
    } else {
      this.#failProtocol("answered with a result of a kind that its client cannot read");
    }
  }

  #askForInput(answer: BackendMessage): void {
    const required = readInputRequired(answer, this.#request.method);
    this.#roundsAsked += 1;
    if ("fault" in required) {
      this.#failProtocol(required.fault);
    } else if (this.#roundsAsked > MAX_ROUNDS) {
      this.#failProtocol(`asked for input more than ${MAX_ROUNDS} times in one call`);
    } else {
      this.#exchange = ENDED_EXCHANGE;
      this.#requestStateJson = required.requestStateJson;
      if (required.questions.size === 0) this.#comeAgain();
      else this.#putQuestions(required.questions);
    }
  }

  #putQuestions(questions: InputRequired["questions"]): void {
    const { clientAnswerMs } = this.#host.settings.timeouts;
    this.#patience = DEADLINES.add(clientAnswerMs, () => this.#expire(clientAnswerMs));
    this.#inputs = new InputRound(this.#host.inputs, questions, this);
    this.#inputs.begin();
  }

  /** There is no question: the backend wants the call again, and what it gave with it. */
  #comeAgain(): void {
    if (this.#roundsAsked === 1) {
      this.#startRound(undefined);
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.#roundsAsked - 2), MAX_PAUSE_MS);
    this.#patience = DEADLINES.add(pauseMs, () => this.#startRound(undefined));
  }

  #startRound(inputResponsesJson: string | undefined): void {
    const id = this.#host.mintId();
    const requestStateJson = this.#requestStateJson;
    this.#round = { id, idJson: JSON.stringify(id), inputResponsesJson, requestStateJson };
    this.start();
  }

  #takeError(answer: BackendMessage, error: JsonRpcError): void {
    const { name } = this.#host.settings;
    const isForSession = this.#request.envelope === undefined;
    switch (error.code) {
      case HEADER_MISMATCH:
        this.#takeMismatch();
        return;
      case MISSING_CAPABILITY:
        this.#finish(
          isForSession ? errorAnswer(this.#request, needsCapability(name, error)) : answer,
        );
        return;
      case UNSUPPORTED_REVISION:
        if (this.#isOtherFamily()) this.#fail(otherRevision(name));
        else
          this.#failProtocol("refuses the revision of MCP that it said it speaks", "not_executed");
        return;
      case METHOD_NOT_FOUND:
        if (this.#host.announces(this.#request.method) && this.#isOtherFamily()) {
          this.#fail(otherRevision(name));
          return;
        }
        this.#finish(answer);
        return;
      default:
        this.#finish(answer);
    }
  }

  /** The tool may want to see other arguments in headers than when it was listed: it was not run, for that. */
  #takeMismatch(): void {
    const canHelp = this.#request.toolName !== undefined && this.#refreshing === undefined;
    if (canHelp) void this.#startRefreshed();
    else this.#failProtocol("says that headers do not match the request", "not_executed");
  }

  async #startRefreshed(): Promise<void> {
    this.#refreshing = new AbortController();
    try {
      await this.#host.refreshTools(this.#refreshing.signal);
      if (!this.#isOver) this.start();
    } catch (thrown) {
      if (!this.#isOver) this.#fail(notExecuted(VmcpError.from(thrown)));
    }
  }

  /** Whether what came is to be read as the answer of a backend that speaks another family of revisions by now. */
  #isOtherFamily(): boolean {
    return this.#round === undefined && this.#host.settings.spoken.doubt("stateless");
  }

  #expire(afterMs: number): void {
    this.end(expiryError(this.#host.settings.name, "client_answer_timeout", afterMs, "unknown"));
  }

  #failProtocol(sentence: string, executionState: "executed" | "not_executed" = "executed"): void {
    const { name } = this.#host.settings;
    this.#fail(backendError(name, "backend_protocol", sentence, { executionState }));
  }

  #fail(error: VmcpError): void {
    this.#close();
    this.#sink.fail(this.#round === undefined ? error : mayHaveRun(error));
  }

  #finish(answer: BackendMessage): void {
    this.#close();
    const isOfRound = this.#round !== undefined && answer.message.id === this.#round.id;
    this.#sink.answer(isOfRound ? withId(answer, idJsonOf(this.#request)) : answer);
  }

  #close(): void {
    this.#isOver = true;
    this.#patience?.cancel();
    this.#host.ended(this);
  }
}
