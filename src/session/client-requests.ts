import type { BackendName } from "../domain/ids.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import { MAX_OPEN_QUESTIONS } from "../mcp/client-questions.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { InboundResponse } from "../mcp/inbound-message.ts";
import {
  encodeError,
  encodeResult,
  encodeNotification,
  INTERNAL_ERROR,
  METHOD_NOT_FOUND,
  OWN_ID_PREFIX,
  type JsonRpcError,
} from "../mcp/json-rpc.ts";
import { scanMembers, spliceBytes, type Member } from "../mcp/json-spans.ts";
import { withoutParam } from "../mcp/without-param.ts";
import type { BackendConnection, ClientProfile } from "./backend-connection.ts";
import { reasonIn } from "./cancel-reason.ts";
import { refusalByAbilities, wantsUnofferedContext } from "./client-abilities.ts";

/** As `MAX_OPEN_QUESTIONS`, where the connection serves many clients, each of which is asked during its own calls. */
const MAX_PENDING_OF_MANY = 64;

interface Pending {
  readonly connection: BackendConnection;
  /** The backend's own id, as it wrote it. */
  readonly idJson: string;
  /** The token under which the backend wants to hear of progress. */
  readonly progressToken: JsonValue | undefined;
  readonly timer: NodeJS.Timeout;
}

/** The session whose client is asked. */
export interface ClientRequestsHost {
  readonly client: Pick<ClientProfile, "revision" | "capabilities" | "isAskedInCallsOnly">;
  answerTimeoutMs(): number;
  /** Takes a message for the client that belongs to no call. */
  tellClient(message: Buffer): void;
  /** The client's answer as this backend is to see it. */
  forBackend(backend: BackendName, answer: Buffer): Buffer;
  readonly logger: Logger;
}

/**
 * The requests that backends make of one client: sampling, elicitation, roots.
 *
 * Towards the client each has an id of ours, so that two backends may use the same one and an answer finds
 * its way from the id alone. An id is good for one answer; any other answer is dropped.
 */
export class ClientRequests {
  readonly #host: ClientRequestsHost;
  readonly #pending = new Map<string, Pending>();
  #count = 0;

  constructor(host: ClientRequestsHost) {
    this.#host = host;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Takes a backend's request. Returns the message for the client, or undefined where the backend has
   * already been answered: a ping, a method that the client did not declare, or one request too many.
   */
  accept(connection: BackendConnection, given: BackendMessage): BackendMessage | undefined {
    const { method = "", params } = given.message;
    const request = wantsUnofferedContext(this.#host.client, method, params)
      ? withoutContext(given)
      : given;
    const idMember = memberAt(request.bytes, ["id"]);
    if (idMember === undefined) return undefined;
    const idJson = textOf(request.bytes, idMember);
    const refusal = this.#refusal(connection, request);
    if (method === "ping" || refusal !== undefined) {
      send(connection, refusal ? encodeError(idJson, refusal) : encodeResult(idJson, "{}"));
      return undefined;
    }
    this.#count += 1;
    const id = `${OWN_ID_PREFIX}${this.#count}`;
    const progressToken = progressTokenOf(request.message.params);
    this.#pending.set(id, { connection, idJson, progressToken, timer: this.#expire(id) });
    const bytes = withValue(request.bytes, idMember, JSON.stringify(id));
    return { bytes, message: { ...request.message, id } };
  }

  /** Answers a backend's request that came when nobody could be asked. A ping is answered as ever. */
  refuse(connection: BackendConnection, { bytes, message }: BackendMessage): void {
    const idMember = memberAt(bytes, ["id"]);
    if (idMember === undefined) return;
    const idJson = textOf(bytes, idMember);
    const error = { code: METHOD_NOT_FOUND, message: "The client can be asked during a call only" };
    const isPing = message.method === "ping";
    send(connection, isPing ? encodeResult(idJson, "{}") : encodeError(idJson, error));
  }

  /**
   * Takes back what a backend asked: returns its cancellation under the id that the client knows. Undefined
   * where it names nothing that this backend still waits for.
   */
  withdraw(connection: BackendConnection, notice: BackendMessage): BackendMessage | undefined {
    const member = memberAt(notice.bytes, ["params", "requestId"]);
    if (member === undefined) return undefined;
    const requestId = JSON.parse(textOf(notice.bytes, member));
    const found = [...this.#pending].find(
      ([, pending]) =>
        pending.connection === connection && JSON.parse(pending.idJson) === requestId,
    );
    if (found === undefined) return undefined;
    const [id] = found;
    this.#take(id);
    this.#host.logger.debug("a backend took back what it had asked the client", {
      backend: connection.backend,
      reason: reasonIn(notice.message.params),
    });
    const bytes = withValue(notice.bytes, member, JSON.stringify(id));
    return { bytes, message: notice.message };
  }

  /** Passes the client's answer to the backend that asked. False if nobody asked, or no longer waits. */
  answer(response: InboundResponse): boolean {
    const pending = typeof response.id === "string" ? this.#take(response.id) : undefined;
    if (pending === undefined) return false;
    const { start, end } = response.idSpan;
    const edit = { start, end, replacement: pending.idJson };
    const answer = spliceBytes(response.bytes, [edit]);
    send(pending.connection, this.#host.forBackend(pending.connection.backend, answer));
    return true;
  }

  /** The connections that gave this progress token with a request that the client has not answered. */
  connectionsWithToken(progressToken: JsonValue | undefined): ReadonlySet<BackendConnection> {
    const waiting = [...this.#pending.values()].filter(
      (pending) => progressToken !== undefined && pending.progressToken === progressToken,
    );
    return new Set(waiting.map(({ connection }) => connection));
  }

  /** A connection leaves and waits for nothing any more: the client hears which answers are not wanted. */
  leave(connection: BackendConnection): void {
    const reason = "The backend that asked is gone";
    for (const [id, pending] of this.#pending) {
      if (pending.connection !== connection) continue;
      this.#giveUp(id, reason);
      const params = { requestId: id, reason };
      this.#host.tellClient(encodeNotification("notifications/cancelled", params));
    }
  }

  /** Tells every backend that still waits that no answer will come. */
  close(): void {
    for (const id of this.#pending.keys()) this.#giveUp(id, "The client is gone");
  }

  #refusal(
    connection: BackendConnection,
    { message: { method = "", params } }: BackendMessage,
  ): JsonRpcError | undefined {
    if (method === "ping") return undefined;
    const refusal = refusalByAbilities(this.#host.client.capabilities, method, params);
    if (refusal !== undefined) return refusal;
    const waiting = [...this.#pending.values()].filter(
      (pending) => pending.connection === connection,
    );
    const isOfMany = this.#host.client.isAskedInCallsOnly === true;
    const maxPending = isOfMany ? MAX_PENDING_OF_MANY : MAX_OPEN_QUESTIONS;
    if (waiting.length < maxPending) return undefined;
    return {
      code: INTERNAL_ERROR,
      message: `The client already has ${maxPending} requests to answer; ask again later`,
    };
  }

  /** Who stops waiting says so to both sides (MCP lifecycle, "Timeouts"). */
  #expire(id: string): NodeJS.Timeout {
    const reason = "The client did not answer in time";
    return setTimeout(() => {
      this.#giveUp(id, reason);
      const params = { requestId: id, reason };
      this.#host.tellClient(encodeNotification("notifications/cancelled", params));
    }, this.#host.answerTimeoutMs()).unref();
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

function progressTokenOf(params: JsonObject | undefined): JsonValue | undefined {
  const meta = params?.["_meta"];
  return isJsonObject(meta) ? meta["progressToken"] : undefined;
}

/** Nobody but the client could give that context, and what is left out means none. */
function withoutContext({ bytes, message }: BackendMessage): BackendMessage {
  const { includeContext: _left, ...params } = message.params ?? {};
  let before = bytes;
  let rest = withoutParam(bytes, "includeContext");
  // A key that stands twice is taken out twice: which of the two a client reads is its own affair.
  while (rest !== before) {
    before = rest;
    rest = withoutParam(rest, "includeContext");
  }
  return { bytes: rest, message: { ...message, params } };
}

/** Where the value at a path of object members stands. */
function memberAt(bytes: Buffer, path: readonly string[]): Member | undefined {
  let start = bytes.indexOf(OPENING_BRACE);
  let found: Member | undefined;
  for (const key of path) {
    found = scanMembers(bytes, start).find((member) => member.key === key);
    if (found === undefined) return undefined;
    start = found.valueStart;
  }
  return found;
}

function textOf(bytes: Buffer, { valueStart, valueEnd }: Member): string {
  return bytes.toString("utf8", valueStart, valueEnd);
}

function withValue(bytes: Buffer, { valueStart, valueEnd }: Member, replacement: string): Buffer {
  return spliceBytes(bytes, [{ start: valueStart, end: valueEnd, replacement }]);
}

const OPENING_BRACE = 0x7b;
