import type { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
} from "../../mcp/exchange.ts";
import { encodeRequest, type JsonRpcError } from "../../mcp/json-rpc.ts";
import type { StatelessWire } from "./stateless-wire.ts";
import { subscriptionIdOf } from "./subscription-messages.ts";

/** What a stream is to tell of, by the names that the protocol gives them. */
export type Filter = JsonObject;

export interface ListeningHost {
  /** The first message of the backend: what of it it will tell of. */
  confirmed(honoured: JsonObject): void;
  heard(message: BackendMessage): void;
  /** The backend said that it will tell nothing. */
  refused(error: JsonRpcError): void;
  /** The stream ended; undefined where the backend ended it as it should. */
  broke(error: VmcpError | undefined): void;
}

/** Streams end when somebody ends them. A bit more than thirty years, in a number that deadlines can hold. */
const NO_END_MS = 1e12;

const CONFIRMED = "notifications/subscriptions/acknowledged";

/** The messages that belong on such a stream. */
const CHANGES: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  "notifications/resources/updated",
]);

/** One `subscriptions/listen` of the gateway and what comes on its stream. Over once its host heard of its end. */
export class Listening implements AnswerSink {
  readonly id: string;
  readonly filter: Filter;
  readonly #host: ListeningHost;
  #exchange: Exchange = ENDED_EXCHANGE;
  #isOver = false;

  constructor(id: string, filter: Filter, host: ListeningHost) {
    this.id = id;
    this.filter = filter;
    this.#host = host;
  }

  start(wire: StatelessWire): void {
    const method = "subscriptions/listen";
    const bytes = encodeRequest(this.id, method, { notifications: this.filter });
    this.#exchange = wire.listen({ id: this.id, method, bytes, timeoutMs: NO_END_MS }, this);
  }

  /** A message that came on no stream of its own; true where it names this one. */
  offer(message: BackendMessage): boolean {
    const { method, params } = message.message;
    if (method === "notifications/cancelled" && params?.["requestId"] === this.id) {
      this.#exchange.cancel("The backend has ended it");
      this.#end(undefined);
      return true;
    }
    if (subscriptionIdOf(message.message) !== this.id) return false;
    this.event(message);
    return true;
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#exchange.cancel("Nobody listens any longer");
  }

  event(message: BackendMessage): boolean {
    const { id, method = "", params } = message.message;
    if (this.#isOver || id !== undefined) return true;
    if (method === CONFIRMED) {
      const honoured = params?.["notifications"];
      this.#host.confirmed(isJsonObject(honoured) ? honoured : {});
    } else if (CHANGES.has(method)) this.#host.heard(message);
    return true;
  }

  answer({ message: { error } }: BackendMessage): void {
    if (this.#isOver) return;
    if (error === undefined) this.#end(undefined);
    else {
      this.#isOver = true;
      this.#host.refused(error);
    }
  }

  fail(error: VmcpError): void {
    this.#end(error);
  }

  #end(error: VmcpError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.broke(error);
  }
}
