import { VmcpError } from "../../domain/errors.ts";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { spansAt } from "../../mcp/json-paths.ts";
import { spliceBytes } from "../../mcp/json-spans.ts";
import { INPUT_REQUIRED, MISSING_CLIENT_CAPABILITY } from "../../mcp/stateless-names.ts";
import { toJsonRpcError } from "../../mcp/wire-errors.ts";
import { isBelowLevel } from "../../session/log-levels.ts";
import type { AnswerOutlet } from "./answer-outlet.ts";
import { ownAnswer, toClientAnswer } from "./client-answer.ts";
import { questionsOf } from "./input-requests.ts";
import type { Caller } from "./round.ts";

/** One request of a client that waits for its answer. */
export interface HttpCallerOptions {
  readonly method: string;
  readonly idJson: string;
  readonly progressTokenJson?: string | undefined;
  readonly envelope: ClientEnvelope;
  /** Who we are, as JSON. */
  readonly serverInfoJson: string;
  /** Whether other clients see the same. */
  readonly isShared: boolean;
  readonly outlet: AnswerOutlet;
}

/** The client's side of a call: what it hears before the answer, and the answer as it may see it. */
export class HttpCaller implements Caller {
  readonly #options: HttpCallerOptions;

  constructor(options: HttpCallerOptions) {
    this.#options = options;
  }

  get envelope(): ClientEnvelope {
    return this.#options.envelope;
  }

  get outlet(): AnswerOutlet {
    return this.#options.outlet;
  }

  /** Passes on progress and log messages, as far as the client asked for them. False asks to wait. */
  event({ bytes, message }: BackendMessage): boolean {
    const { method, params } = message;
    if (method === "notifications/progress") return this.#progress(bytes);
    const { logLevel } = this.#options.envelope;
    const isWanted =
      method === "notifications/message" &&
      logLevel !== undefined &&
      !isBelowLevel(params?.["level"], logLevel);
    return !isWanted || this.outlet.send(bytes);
  }

  answer(answer: BackendMessage, requestState?: string): void {
    const { error } = answer.message;
    const { method, envelope } = this.#options;
    const questions = error && questionsOf(error, method, envelope.capabilities);
    if (questions !== undefined) {
      this.#ask(`{"inputRequests":${questions}}`);
      return;
    }
    // A capability that is missing is told by the status too, whoever found it missing.
    const status = error?.code === MISSING_CLIENT_CAPABILITY ? 400 : 200;
    this.outlet.end(toClientAnswer(answer, { ...this.#options, requestState }), status);
  }

  /** Ends the request with the question for more: `inputRequestsJson` is an object of them by key. */
  askForInput(inputRequestsJson: string, requestState: string): void {
    this.#ask(
      `{"inputRequests":${inputRequestsJson},"requestState":${JSON.stringify(requestState)}}`,
    );
  }

  fail(error: VmcpError): void {
    const { method, envelope } = this.#options;
    const questions = questionsOf(toJsonRpcError(error), method, envelope.capabilities);
    if (questions !== undefined) this.#ask(`{"inputRequests":${questions}}`);
    // The code by which sessions tell of links is not one of this revision.
    else this.outlet.fail(error.code === "sign_in_required" ? inWords(error) : error);
  }

  #ask(resultJson: string): void {
    const options = { resultType: INPUT_REQUIRED };
    this.outlet.end(ownAnswer(Buffer.from(resultJson), this.#options, options));
  }

  #progress(bytes: Buffer): boolean {
    const { progressTokenJson } = this.#options;
    const [token] = spansAt(bytes, ["params", "progressToken"]);
    if (progressTokenJson === undefined || token === undefined) return true;
    const { valueStart, valueEnd } = token;
    const edit = { start: valueStart, end: valueEnd, replacement: progressTokenJson };
    return this.outlet.send(spliceBytes(bytes, [edit]));
  }
}

/** For a client that can be told of links in words only. */
function inWords({ message, backend, cause }: VmcpError): VmcpError {
  return new VmcpError("backend_auth", message, {
    cause,
    executionState: "not_executed",
    ...(backend !== undefined && { backend }),
  });
}
