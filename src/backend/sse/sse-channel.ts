import { VmcpError } from "../../domain/errors.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import { encodeNotification, type RequestId } from "../../mcp/json-rpc.ts";
import { needsVersionHeader } from "../../mcp/revisions.ts";
import { closedByGatewayError, notExecuted } from "../failures.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import type { Channel, ConnectionListener } from "../ports.ts";
import type { SharedCall } from "../shared-call.ts";
import { SharedCalls, type SharedStream } from "../shared-calls.ts";
import type { Endpoint } from "../streamable-http/endpoint.ts";
import { requestOnce } from "../streamable-http/request-once.ts";
import { EventStream, type StreamListener } from "./event-stream.ts";
import { MessagePost } from "./message-post.ts";
import { StreamProof } from "./stream-proof.ts";

/** Nobody waits for a cancellation to arrive. */
const TELL_MS = 2_000;

/** Messages are accepted at once or not at all: few connections carry those of all sessions. */
const SEND_MS = 30_000;

type Life =
  /** The backend has not said yet where to send messages; `unsent` are the calls that wait for that. */
  | { readonly phase: "opening"; readonly unsent: Set<SharedCall> }
  | { readonly phase: "open"; readonly messagePath: string }
  | { readonly phase: "ended"; readonly error: VmcpError };

/**
 * The channel to one backend session over the transport of revision 2024-11-05: messages go out as POSTs and
 * everything comes in on one stream, which is opened at once and takes a socket for as long as the channel
 * lives.
 */
export class SseChannel implements Channel, SharedStream, StreamListener {
  /** The session is the stream, and whatever names it is part of an address that only the backend reads. */
  readonly backendSessionId = undefined;
  readonly settings: BackendSettings;
  readonly #endpoint: Endpoint;
  readonly #listener: ConnectionListener;
  readonly #calls: SharedCalls;
  readonly #posts = new Map<SharedCall, MessagePost>();
  readonly #stream: EventStream;
  readonly #proof: StreamProof;
  #requestHeaders: string[];
  #life: Life = { phase: "opening", unsent: new Set() };

  constructor(settings: BackendSettings, endpoint: Endpoint, listener: ConnectionListener) {
    this.settings = settings;
    this.#endpoint = endpoint;
    this.#listener = listener;
    this.#requestHeaders = endpoint.requestHeaders;
    this.#calls = new SharedCalls(this);
    const stream = new EventStream(settings, endpoint, this);
    this.#stream = stream;
    this.#proof = new StreamProof({
      heard: () => stream.heard,
      send: async (message) => this.#tell(message, TELL_MS),
      callMs: settings.timeouts.callMs,
      onSilent: () => this.#silent(),
    });
    stream.open();
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    const life = this.#life;
    const refusal =
      life.phase === "ended" ? notExecuted(life.error) : this.#calls.refusal(request.id);
    if (refusal !== undefined) {
      queueMicrotask(() => sink.fail(refusal));
      return ENDED_EXCHANGE;
    }
    const call = this.#calls.add(request, sink);
    if (life.phase === "opening") life.unsent.add(call);
    else if (life.phase === "open") void this.#postCall(call, life.messagePath);
    return call;
  }

  async send(message: Buffer): Promise<void> {
    if (this.#life.phase === "ended") throw notExecuted(this.#life.error);
    this.#calls.sent(message);
    try {
      await this.#tell(message, Math.min(SEND_MS, this.settings.timeouts.callMs));
    } catch (thrown) {
      const error = VmcpError.from(thrown);
      this.#endIfForgotten(error);
      throw error;
    }
  }

  /** Everything comes on the one stream anyway. */
  openNotifications(): void {}

  agree(revision: string): void {
    if (!needsVersionHeader(revision)) return;
    this.#requestHeaders = [...this.#endpoint.requestHeaders, "mcp-protocol-version", revision];
  }

  opened(messagePath: string): void {
    const unsent = this.#life.phase === "opening" ? this.#life.unsent : [];
    this.#life = { phase: "open", messagePath };
    for (const call of unsent) void this.#postCall(call, messagePath);
  }

  message(data: Buffer): void {
    this.#calls.read(data);
  }

  ended(error: VmcpError): void {
    this.gaveUp(error);
  }

  unsolicited(message: BackendMessage): void {
    this.#listener.unsolicited(message);
  }

  setFlowing(isFlowing: boolean): void {
    this.#stream.setFlowing(isFlowing);
  }

  tellCancelled(requestId: RequestId, reason: string): void {
    const message = encodeNotification("notifications/cancelled", { requestId, reason });
    // Nobody waits for it: the backend may have gone, or may not know what it is about any more.
    this.#tell(message, TELL_MS).catch(() => {});
    this.#proof.begin();
  }

  callEnded(call: SharedCall): void {
    if (this.#life.phase === "opening") this.#life.unsent.delete(call);
    this.#posts.get(call)?.end();
  }

  /** The channel ends by itself. */
  gaveUp(error: VmcpError): void {
    if (this.#end(error)) this.#listener.lost(error);
  }

  /** Fails what is under way and closes the stream, by which the backend knows that the session is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(closedByGatewayError(this.settings.name, true));
  }

  #silent(): void {
    const sentence = "accepts what it is sent, but nothing comes on its event stream any more";
    const details = { executionState: "unknown" } as const;
    this.gaveUp(backendError(this.settings.name, "backend_closed", sentence, details));
  }

  #end(error: VmcpError): boolean {
    if (this.#life.phase === "ended") return false;
    this.#life = { phase: "ended", error };
    this.#proof.stop();
    this.#stream.close();
    this.#calls.fail(error);
    return true;
  }

  async #postCall(call: SharedCall, path: string): Promise<void> {
    const post = new MessagePost(call);
    this.#posts.set(call, post);
    const request = {
      path,
      method: "POST",
      headers: this.#requestHeaders,
      body: call.bytes,
    } as const;
    const error = await post.run(async (signal, onStart) =>
      requestOnce(this.#endpoint.pools.calls, request, { ...this.#reach(), signal, onStart }),
    );
    this.#posts.delete(call);
    if (error !== undefined) this.#endIfForgotten(error);
  }

  /** Messages that no answer is waited for must get through while every call waits for one of them. */
  async #tell(message: Buffer, timeoutMs: number): Promise<void> {
    const { name } = this.settings;
    if (this.#life.phase !== "open") {
      const sentence = "has not said yet where to send messages";
      throw backendError(name, "backend_closed", sentence, { executionState: "not_executed" });
    }
    const { messagePath: path } = this.#life;
    const request = { path, method: "POST", headers: this.#requestHeaders, body: message } as const;
    await requestOnce(this.#endpoint.pools.control, request, { ...this.#reach(), timeoutMs });
  }

  /** The address is the session's own: a backend that does not find it has forgotten the session. */
  #endIfForgotten(error: VmcpError): void {
    if (error.code !== "backend_session_lost") return;
    const sentence = "no longer knows its session";
    const details = { executionState: "unknown", cause: error } as const;
    this.gaveUp(backendError(this.settings.name, "backend_session_lost", sentence, details));
  }

  #reach(): { readonly backend: string; readonly isTls: boolean; readonly hasSession: boolean } {
    return { backend: this.settings.name, isTls: this.#endpoint.isTls, hasSession: true };
  }
}
