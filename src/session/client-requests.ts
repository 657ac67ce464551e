import type { JsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { InboundResponse } from "../mcp/inbound-message.ts";
import {
  encodeError,
  encodeResult,
  INTERNAL_ERROR,
  METHOD_NOT_FOUND,
  OWN_ID_PREFIX,
  type JsonRpcError,
} from "../mcp/json-rpc.ts";
import { scanMembers, spliceBytes } from "../mcp/json-spans.ts";
import type { BackendConnection } from "./backend-connection.ts";

/** Requests of backends that may wait for one client at once; the rest is refused. */
const MAX_PENDING = 8;

/** What a client must have declared to be asked for something (MCP lifecycle, "Capability Negotiation"). */
const NEEDED_CAPABILITY: ReadonlyMap<string, string> = new Map([
  ["sampling/createMessage", "sampling"],
  ["elicitation/create", "elicitation"],
  ["roots/list", "roots"],
  ["tasks/get", "tasks"],
  ["tasks/result", "tasks"],
  ["tasks/list", "tasks"],
  ["tasks/cancel", "tasks"],
]);

interface Pending {
  readonly connection: BackendConnection;
  /** The backend's own id, as it wrote it. */
  readonly idJson: string;
  readonly timer: NodeJS.Timeout;
}

export interface ClientRequestsOptions {
  readonly clientCapabilities: JsonObject;
  readonly answerTimeoutMs: number;
}

/**
 * The requests that backends make of one client: sampling, elicitation, roots.
 *
 * Towards the client each has an id of ours, so that two backends may use the same one and an answer finds
 * its way from the id alone. An id is good for one answer; any other answer is dropped.
 */
export class ClientRequests {
  readonly #options: ClientRequestsOptions;
  readonly #pending = new Map<string, Pending>();
  #count = 0;

  constructor(options: ClientRequestsOptions) {
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Takes a backend's request. Returns the message for the client, or undefined where the backend has
   * already been answered: a ping, a method that the client did not declare, or one request too many.
   */
  accept(connection: BackendConnection, request: BackendMessage): BackendMessage | undefined {
    const { method = "" } = request.message;
    const idMember = scanMembers(request.bytes, request.bytes.indexOf(OPENING_BRACE)).find(
      ({ key }) => key === "id",
    );
    if (idMember === undefined) return undefined;
    const idJson = request.bytes.toString("utf8", idMember.valueStart, idMember.valueEnd);
    const refusal = this.#refusal(method);
    if (method === "ping" || refusal !== undefined) {
      send(connection, refusal ? encodeError(idJson, refusal) : encodeResult(idJson, "{}"));
      return undefined;
    }
    this.#count += 1;
    const id = `${OWN_ID_PREFIX}${this.#count}`;
    this.#pending.set(id, { connection, idJson, timer: this.#expire(id) });
    const bytes = spliceBytes(request.bytes, [
      { start: idMember.valueStart, end: idMember.valueEnd, replacement: JSON.stringify(id) },
    ]);
    return { bytes, message: { ...request.message, id } };
  }

  /** Passes the client's answer to the backend that asked. False if nobody asked, or no longer waits. */
  answer(response: InboundResponse): boolean {
    const pending = typeof response.id === "string" ? this.#take(response.id) : undefined;
    if (pending === undefined) return false;
    const { start, end } = response.idSpan;
    const edit = { start, end, replacement: pending.idJson };
    send(pending.connection, spliceBytes(response.bytes, [edit]));
    return true;
  }

  /** The connections that wait for an answer of the client. */
  waitingConnections(): ReadonlySet<BackendConnection> {
    return new Set([...this.#pending.values()].map(({ connection }) => connection));
  }

  /** Tells every backend that still waits that no answer will come. */
  close(): void {
    for (const id of this.#pending.keys()) this.#giveUp(id, "The client is gone");
  }

  #refusal(method: string): JsonRpcError | undefined {
    if (method === "ping") return undefined;
    const needed = NEEDED_CAPABILITY.get(method);
    if (needed === undefined || !Object.hasOwn(this.#options.clientCapabilities, needed)) {
      return { code: METHOD_NOT_FOUND, message: "The client does not offer this method" };
    }
    if (this.#pending.size >= MAX_PENDING) {
      return {
        code: INTERNAL_ERROR,
        message: `The client already has ${MAX_PENDING} requests to answer; ask again later`,
      };
    }
    return undefined;
  }

  #expire(id: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#giveUp(id, "The client did not answer in time");
    }, this.#options.answerTimeoutMs).unref();
  }

  #giveUp(id: string, message: string): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    send(pending.connection, encodeError(pending.idJson, { code: INTERNAL_ERROR, message }));
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    return pending;
  }
}

/** A backend that can no longer be told has already ended its side: there is nobody left to inform. */
function send(connection: BackendConnection, bytes: Buffer): void {
  connection.send(bytes).catch(() => {});
}

const OPENING_BRACE = 0x7b;
