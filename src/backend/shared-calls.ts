import type { VmcpError } from "../domain/errors.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import { ClientWaits } from "./client-waits.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { ChannelRequest } from "./ports.ts";
import { readMessages } from "./read-messages.ts";
import { SharedCall, type CallTable } from "./shared-call.ts";

/** Things that are no messages: a banner is forgiven, a program that is no MCP server is not. */
const MAX_GARBAGE = 100;

/** What a channel does for the calls whose answers come on its one stream. */
export interface SharedStream {
  readonly settings: BackendSettings;
  /** A message that belongs to no call. */
  unsolicited(message: BackendMessage): void;
  tellCancelled(id: RequestId, reason: string): void;
  /** Stops reading for all calls, or goes on: while one reader is too slow, nothing is read for any. */
  setFlowing(isFlowing: boolean): void;
  /** The call is over: what has not left of it is not to be sent. */
  callEnded(call: SharedCall): void;
  /** Too much of what came is no message of MCP. */
  gaveUp(error: VmcpError): void;
}

/**
 * The calls of a connection on which one stream carries everything that the backend says.
 *
 * Answers find their call by its id and progress by its token; everything else belongs to no call. Ids are
 * told apart by type.
 */
export class SharedCalls implements CallTable {
  readonly settings: BackendSettings;
  readonly #stream: SharedStream;
  readonly #calls = new Map<RequestId, SharedCall>();
  readonly #waits = new ClientWaits();
  readonly #paused = new Set<SharedCall>();
  #garbage = 0;
  #isEnded = false;

  constructor(stream: SharedStream) {
    this.settings = stream.settings;
    this.#stream = stream;
  }

  /** Why no request with that id can be taken now; undefined if one can. */
  refusal(id: RequestId): VmcpError | undefined {
    if (!this.#calls.has(id)) return undefined;
    const sentence = "is already working on a request with that id";
    return backendError(this.settings.name, "invalid_request", sentence, {
      executionState: "not_executed",
    });
  }

  add(request: ChannelRequest, sink: AnswerSink): SharedCall {
    const call = new SharedCall(this, request, sink);
    this.#calls.set(request.id, call);
    return call;
  }

  /** Looks at a message on its way to the backend: it may be the answer that a call stands still for. */
  sent(message: Buffer): void {
    this.#waits.sent(message);
  }

  /** Hands out what one line or event holds. */
  read(bytes: Buffer): void {
    if (this.#isEnded) return;
    const { name, limits, logger } = this.settings;
    const fault = readMessages(bytes, limits.jsonDepth, (message) => {
      if (!this.#isEnded) this.#receive(message);
    });
    if (fault === undefined || this.#isEnded) return;
    this.#garbage += 1;
    logger.debug("backend said something that is ignored", {
      backend: name,
      reason: fault.sentence,
      count: this.#garbage,
    });
    if (this.#garbage <= MAX_GARBAGE) return;
    const sentence = `sent more than ${MAX_GARBAGE} things that are not MCP messages`;
    this.#stream.gaveUp(
      backendError(name, "backend_protocol", sentence, { executionState: "unknown" }),
    );
  }

  /** Fails whatever is under way; nothing is handed out from here on. */
  fail(error: VmcpError): void {
    this.#isEnded = true;
    for (const call of this.#calls.values()) call.fail(error);
  }

  tellCancelled(id: RequestId, reason: string): void {
    if (!this.#isEnded) this.#stream.tellCancelled(id, reason);
  }

  setPaused(call: SharedCall, isPaused: boolean): void {
    if (isPaused) this.#paused.add(call);
    else if (!this.#paused.delete(call)) return;
    this.#stream.setFlowing(this.#paused.size === 0);
  }

  ended(call: SharedCall): void {
    if (this.#calls.get(call.id) === call) this.#calls.delete(call.id);
    this.#waits.forget(call.clock);
    this.#stream.callEnded(call);
    this.setPaused(call, false);
  }

  #receive(message: BackendMessage): void {
    const { id, method, params } = message.message;
    if (method === undefined) {
      if (id !== undefined) this.#calls.get(id)?.settle(message);
      return;
    }
    if (method === "notifications/progress") {
      const token = params?.["progressToken"];
      const call = token === undefined ? undefined : this.#callWithToken(token);
      if (call !== undefined) {
        call.progress(message);
        return;
      }
    }
    if (id !== undefined) this.#waits.begin(id, this.#clocks());
    this.#stream.unsolicited(message);
  }

  #callWithToken(token: unknown): SharedCall | undefined {
    for (const call of this.#calls.values()) if (call.progressToken === token) return call;
    return undefined;
  }

  #clocks(): readonly SharedCall["clock"][] {
    const calls = [...this.#calls.values()];
    return calls.filter(({ isStandalone }) => !isStandalone).map(({ clock }) => clock);
  }
}
