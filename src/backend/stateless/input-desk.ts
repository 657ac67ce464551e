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

/** A question on its way to the client. */
export interface Asked {
  readonly id: string;
  readonly message: BackendMessage;
}

/** Where the questions of one connection's calls wait for the client's answers. */
export class InputDesk {
  readonly #listener: ConnectionListener;
  readonly #awaited = new Map<string, (answer: Buffer) => void>();
  #count = 0;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** Makes the request for the client; its answer comes back once, unless the question is withdrawn. */
  ask({ method, paramsJson }: Question, onAnswer: (answer: Buffer) => void): Asked {
    this.#count += 1;
    const id = `${OWN_ID_PREFIX}input:${this.#count}`;
    this.#awaited.set(id, onAnswer);
    const params = paramsJson === undefined ? "" : `,"params":${paramsJson}`;
    const text = `{"jsonrpc":"2.0","id":"${id}","method":${JSON.stringify(method)}${params}}`;
    // It is made of a method and of parameters that were read as an object.
    const message = JSON.parse(text) as JsonRpcMessage;
    return { id, message: { bytes: Buffer.from(text), message } };
  }

  /** Takes what the client says to a backend; whatever answers no open question is dropped. */
  take(message: Buffer): void {
    if (this.#awaited.size === 0) return;
    const id = answeredId(message);
    if (typeof id !== "string") return;
    const onAnswer = this.#awaited.get(id);
    this.#awaited.delete(id);
    onAnswer?.(message);
  }

  /** Nobody waits for the answer any longer: the client need not give one. */
  withdraw(id: string, reason: string): void {
    if (!this.#awaited.delete(id)) return;
    const params = { requestId: id, reason };
    const method = "notifications/cancelled";
    const bytes = encodeNotification(method, params);
    this.#listener.unsolicited({ bytes, message: { jsonrpc: "2.0", method, params } });
  }
}
