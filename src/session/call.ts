import { VmcpError } from "../domain/errors.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../mcp/exchange.ts";
import type { JsonRpcMessage } from "../mcp/json-rpc.ts";
import { withResultMeta } from "../mcp/result-meta.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { BackendLink } from "./backend-link.ts";
import { neverSent } from "./link-failures.ts";

/** Marks an answer that came from a backend which had lost its state in between. */
const REINITIALIZED = "backend_reinitialized";

/**
 * Failures after which the call may go to a new connection, where it is certain that it did not run or where
 * a second run is harmless.
 */
const REPLAYABLE: ReadonlySet<string> = new Set(["backend_session_lost", "backend_closed"]);

/** What a call tells the session it belongs to. */
export interface CallHost {
  /** A message of the backend that the client may not see, or not as it is: undefined where nothing is left to pass on. */
  admitEvent(call: Call, event: BackendMessage): BackendMessage | undefined;
  /** Takes the backend's answer and returns it as the client may see it. */
  answered(call: Call, answer: BackendMessage): BackendMessage;
  /** Whether the backend says that running this call once more changes nothing. Asked only where that would help. */
  isRepeatable(call: Call): boolean;
  /** The call is over, one way or another. Comes exactly once, before the sink hears of it. */
  ended(call: Call): void;
}

/**
 * One request of the client on its way to one backend.
 *
 * It waits for a link that is still connecting, goes once to a new connection if the old one was gone before
 * the backend ran it, and ends exactly once.
 */
export class Call implements AnswerSink, Exchange {
  readonly link: BackendLink;
  readonly request: OutboundRequest;
  readonly #host: CallHost;
  readonly #sink: AnswerSink;
  #connection: BackendConnection | undefined;
  #exchange: Exchange = ENDED_EXCHANGE;
  #isOver = false;
  /** The link let the call through and has not heard how that ended. */
  #isUnderWay = false;
  #isReplayed = false;
  /** The backend had lost its state before it ran this call. */
  #isAfterLoss = false;
  #isPaused = false;

  constructor(host: CallHost, link: BackendLink, request: OutboundRequest, sink: AnswerSink) {
    this.#host = host;
    this.link = link;
    this.request = request;
    this.#sink = sink;
  }

  get backend(): string {
    return this.link.name;
  }

  get serverId(): string | undefined {
    return this.link.serverId;
  }

  /** The connection that carries the call; undefined while it waits for one. */
  get connection(): BackendConnection | undefined {
    return this.#connection;
  }

  /** Throws the guard's refusal, and is over then; every later failure goes to the sink. */
  start(): void {
    const { connection } = this.link;
    if (connection === undefined) {
      void this.#startWhenReady();
      return;
    }
    try {
      this.#sendOn(connection);
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  event(message: BackendMessage): boolean {
    if (this.#isOver) return true;
    const admitted = this.#host.admitEvent(this, message);
    return admitted === undefined || this.#sink.event(admitted);
  }

  answer(answer: BackendMessage): void {
    // What a connection says after it failed the call is not heard: the call may be on its way again.
    if (!this.#isUnderWay || !this.#end()) return;
    this.#isUnderWay = false;
    this.link.callSucceeded();
    const told = this.#host.answered(this, answer);
    this.#sink.answer(this.#mustTellLoss(told) ? marked(told) : told);
  }

  fail(error: VmcpError): void {
    if (this.#isOver || !this.#isUnderWay) return;
    if (!this.#isReplayed && this.#isReplayable(error)) {
      this.#isReplayed = true;
      // Only how the call ends in the end says something of the backend.
      this.#withdraw();
      this.#leaveLostSession(error);
      void this.#startWhenReady();
      return;
    }
    this.#tellFailure(error);
    if (this.#end()) this.#sink.fail(error);
  }

  cancel(reason: string): void {
    if (!this.#end()) return;
    this.#withdraw();
    this.#exchange.cancel(reason);
  }

  /** As `cancel`, where it was the client that asked for it: its reply has to end. */
  cancelByClient(reason: string): void {
    if (!this.#end()) return;
    this.#withdraw();
    this.#exchange.cancel(reason);
    this.#sink.cancelled?.();
  }

  pause(): void {
    this.#isPaused = true;
    this.#exchange.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#exchange.resume();
  }

  /** Ends the call from our side: the backend is told, and so is the client. */
  abort(error: VmcpError): void {
    if (!this.#end()) return;
    const wasSent = this.#isUnderWay || this.#isReplayed;
    this.#withdraw();
    this.#exchange.cancel(error.message);
    this.#sink.fail(wasSent ? error : neverSent(error));
  }

  #isReplayable({ code, executionState }: VmcpError): boolean {
    if (!REPLAYABLE.has(code)) return false;
    if (executionState === "not_executed") return true;
    return this.link.policy.trustsAnnotations === true && this.#host.isRepeatable(this);
  }

  /** An error has no place for the mark, so the loss is told with the next result. */
  #mustTellLoss({ message }: BackendMessage): boolean {
    if (message.result === undefined) return false;
    return this.link.takeUntoldLoss() || this.#isAfterLoss;
  }

  /** The link must not hand out the same dead connection again. */
  #leaveLostSession(error: VmcpError): void {
    const connection = this.#connection;
    if (error.code !== "backend_session_lost" || connection === undefined) return;
    if (connection.hasSessionPerCall === true) return;
    this.#isAfterLoss = connection.isStateless !== true;
    this.link.lose(connection, error);
  }

  async #startWhenReady(): Promise<void> {
    this.#connection = undefined;
    try {
      const connection = await this.link.ready();
      if (!this.#isOver) this.#sendOn(connection);
    } catch (error) {
      if (this.#end()) this.#sink.fail(VmcpError.from(error));
    }
  }

  #sendOn(connection: BackendConnection): void {
    this.link.callBegins();
    this.#isUnderWay = true;
    this.#connection = connection;
    this.#exchange = connection.forward(this.request, this);
    if (this.#isPaused) this.#exchange.pause();
  }

  #tellFailure(error: VmcpError): void {
    if (!this.#isUnderWay) return;
    this.#isUnderWay = false;
    this.link.callFailed(error);
  }

  #withdraw(): void {
    if (!this.#isUnderWay) return;
    this.#isUnderWay = false;
    this.link.callWithdrawn();
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#host.ended(this);
    return true;
  }
}

function marked(answer: BackendMessage): BackendMessage {
  const bytes = withResultMeta(answer.bytes, REINITIALIZED, "true");
  return { bytes, message: parseMessage(bytes) };
}

function parseMessage(bytes: Buffer): JsonRpcMessage {
  // The connection has already read these bytes as a message; only a member was added since.
  return JSON.parse(bytes.toString()) as JsonRpcMessage;
}
