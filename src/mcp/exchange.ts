import type { VmcpError } from "../domain/errors.ts";
import type { ClientEnvelope } from "./client-envelope.ts";
import type { JsonRpcMessage, RequestId } from "./json-rpc.ts";
import type { MessageBytes } from "./message-bytes.ts";

/** One message of a backend: its bytes as received (one JSON value) and the one reading of them. */
export interface BackendMessage {
  readonly bytes: Buffer;
  readonly message: JsonRpcMessage;
}

/** A request on its way to a backend: the bytes to send, and what of them the way needs to know. */
export interface OutboundRequest {
  readonly id: RequestId;
  readonly method: string;
  /** The whole JSON-RPC message, names already those of the backend. */
  readonly bytes: MessageBytes;
  /** `params._meta.progressToken` where the client gave one. */
  readonly progressToken?: RequestId;
  /** Where it is a call of a tool: the backend's own name of it. */
  readonly toolName?: string;
  /** Ends the wait for an answer; progress extends it up to the connection's own cap. */
  readonly timeoutMs?: number;
  /** Who asks, where the client says so with each request; else the client that the connection was made for. */
  readonly envelope?: ClientEnvelope;
}

/**
 * Where the answer to one request flows.
 *
 * Any number of `event`s, then exactly one of `answer`, `fail` or `cancelled`, then nothing. No method throws. The calls
 * never come before `forward` has returned.
 */
export interface AnswerSink {
  /** A notification or request of the backend that belongs to this call. False asks the sender to pause. */
  event(message: BackendMessage): boolean;
  /** The answer, result or JSON-RPC error: forwarded as it is. */
  answer(message: BackendMessage): void;
  /** No answer could be had. */
  fail(error: VmcpError): void;
  /** The client itself cancelled the call, in place of `answer` and `fail`: it is owed no answer. */
  cancelled?(): void;
}

/** A request under way, as seen by the one who waits for it. Every method is harmless after the end. */
export interface Exchange {
  /** The configured name of the backend that it goes to, where it goes to one. */
  readonly backend?: string | undefined;
  /** Stands for the server behind that name; another server under the same name has another. */
  readonly serverId?: string | undefined;
  /**
   * Stops waiting and tells the backend (`notifications/cancelled` where the revision has it). The sink
   * hears nothing more, not even `fail`.
   */
  cancel(reason: string): void;
  /** Asks for no more events until `resume`: the reader is slow. */
  pause(): void;
  resume(): void;
}

export const ENDED_EXCHANGE: Exchange = { cancel() {}, pause() {}, resume() {} };
