import { MAX_OPEN_QUESTIONS } from "../../mcp/client-questions.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import type { JsonRpcError, JsonRpcMessage } from "../../mcp/json-rpc.ts";
import type { Asker, InputDesk, Question } from "./input-desk.ts";
import { lastMember, topOf } from "./member-edits.ts";

/**
 * Questions of one round that are on their way at once: half of what the client has before it of one connection, so
 * that a call with many questions does not keep those of all others waiting.
 */
const MAX_ASKED_AT_ONCE = MAX_OPEN_QUESTIONS / 2;

export interface RoundHost {
  /** Puts a question to the client that made the call. */
  askClient(message: BackendMessage): void;
  /** Every question has its answer: the text of one JSON object with the results by the questions' names. */
  answered(inputResponsesJson: string): void;
  /** The client answered a question with an error, and so the others are of no use. */
  refused(error: JsonRpcError): void;
}

/** The questions of one round of a call on their way to the client and back. */
export class InputRound implements Asker {
  readonly #desk: InputDesk;
  readonly #host: RoundHost;
  readonly #unasked: [name: string, question: Question][];
  readonly #asked = new Map<string, string>();
  readonly #results = new Map<string, string>();

  constructor(desk: InputDesk, questions: ReadonlyMap<string, Question>, host: RoundHost) {
    this.#desk = desk;
    this.#host = host;
    this.#unasked = [...questions];
  }

  begin(): void {
    while (this.#asked.size < MAX_ASKED_AT_ONCE) {
      const next = this.#unasked.shift();
      if (next === undefined) break;
      const [name, question] = next;
      const id = this.#desk.mintId();
      this.#asked.set(id, name);
      this.#desk.ask(id, question, this);
    }
    if (this.#asked.size === 0) this.#host.answered(this.#toJson());
  }

  /** Nobody needs the answers any longer. */
  withdraw(reason: string): void {
    const ids = [...this.#asked.keys()];
    this.#unasked.length = 0;
    this.#asked.clear();
    this.#desk.withdraw(ids, reason);
  }

  put(message: BackendMessage): void {
    this.#host.askClient(message);
  }

  answered(id: string, answer: Buffer): void {
    const name = this.#asked.get(id);
    if (name === undefined) return;
    this.#asked.delete(id);
    // The session has read it as an answer of a client before it handed it on.
    const { error } = JSON.parse(answer.toString()) as JsonRpcMessage;
    const result = lastMember(answer, topOf(answer), "result");
    if (error !== undefined || result === undefined) {
      this.withdraw("Another question of the same call was refused");
      this.#host.refused(error ?? { code: 0, message: "no result" });
      return;
    }
    this.#results.set(name, answer.toString("utf8", result.valueStart, result.valueEnd));
    this.begin();
  }

  #toJson(): string {
    const members = [...this.#results].map(([name, json]) => `${JSON.stringify(name)}:${json}`);
    return `{${members.join(",")}}`;
  }
}
