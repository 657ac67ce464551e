import { MAX_OPEN_QUESTIONS } from "../../mcp/client-questions.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { encodeNotification, OWN_ID_PREFIX, type JsonRpcMessage } from "../../mcp/json-rpc.ts";
import type { ConnectionListener } from "../ports.ts";
import { answeredId } from "../read-messages.ts";

/** What a backend wants to know of the client: its words, as the request that a backend of sessions would make. */
export interface Question {
  readonly method: string;
  /** The text as the backend wrote it; undefined where it wrote none. */
  readonly paramsJson: string | undefined;
}

/** Who wants a question answered. */
export interface Asker {
  /** It is the question's turn: this is the request for the client. */
  put(message: BackendMessage): void;
  /** The client's answer. Comes once, and not after the question was withdrawn. */
  answered(id: string, answer: Buffer): void;
}

interface Waiting {
  readonly question: Question;
  readonly asker: Asker;
}

/** Where the questions of one connection's calls wait for their turn, and for the client's answers. */
export class InputDesk {
  readonly #listener: ConnectionListener;
  readonly #waiting = new Map<string, Waiting>();
  readonly #open = new Map<string, Asker>();
  #count = 0;
  #isClosed = false;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** For the next question. */
  mintId(): string {
    this.#count += 1;
    return `${OWN_ID_PREFIX}input:${this.#count}`;
  }

  /** Puts the question to the client, at once if it has few enough before it, else as soon as others are answered. */
  ask(id: string, question: Question, asker: Asker): void {
    this.#waiting.set(id, { question, asker });
    this.#putNext();
  }

  /** Takes what the client says to a backend; whatever answers no open question is dropped. */
  take(message: Buffer): void {
    if (this.#open.size === 0) return;
    const id = answeredId(message);
    const asker = typeof id === "string" ? this.#open.get(id) : undefined;
    if (typeof id !== "string" || asker === undefined) return;
    this.#open.delete(id);
    asker.answered(id, message);
    this.#putNext();
  }

  /** Nobody waits for these answers any longer: the client need not give them. */
  withdraw(ids: Iterable<string>, reason: string): void {
    for (const id of ids) {
      this.#waiting.delete(id);
      if (this.#open.delete(id)) this.#tellWithdrawn(id, reason);
    }
    this.#putNext();
  }

  /** From now on nothing is asked: the calls that want answers are about to end. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
  }

  #putNext(): void {
    if (this.#isClosed) return;
    for (const [id, { question, asker }] of this.#waiting) {
      if (this.#open.size >= MAX_OPEN_QUESTIONS) return;
      this.#waiting.delete(id);
      this.#open.set(id, asker);
      asker.put(toRequest(id, question));
    }
  }

  #tellWithdrawn(id: string, reason: string): void {
    const params = { requestId: id, reason };
    const method = "notifications/cancelled";
    const bytes = encodeNotification(method, params);
    this.#listener.unsolicited({ bytes, message: { jsonrpc: "2.0", method, params } });
  }
}

function toRequest(id: string, { method, paramsJson }: Question): BackendMessage {
  const params = paramsJson === undefined ? "" : `,"params":${paramsJson}`;
  const text = `{"jsonrpc":"2.0","id":"${id}","method":${JSON.stringify(method)}${params}}`;
  // It is made of a method and of parameters that were read as an object.
  const message = JSON.parse(text) as JsonRpcMessage;
  return { bytes: Buffer.from(text), message };
}
