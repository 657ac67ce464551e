import type { VmcpError } from "../domain/errors.ts";
import type { SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { PromptResult, ReadResult, ToolCallResult } from "../mcp/results.ts";
import type { ClientProfile, SessionBackend } from "./backend-connection.ts";

export type { PromptResult, ReadResult, ToolCallResult };

/** What goes along with a call. */
export interface CallOptions {
  /** The request's `_meta`, forwarded as it is. */
  readonly meta?: JsonObject;
  /** Ends the wait and tells the backend. The call may have run nevertheless. */
  readonly signal?: AbortSignal;
}

/**
 * The narrow view of a session for those who only call.
 *
 * Names are advertised names. A name that no backend offers rejects with `capability_not_found`, a session
 * that is closed with `session_closed`, and a backend's own failure passes through.
 */
export interface ToolCaller {
  callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult>;
  readResource(uri: string, options?: CallOptions): Promise<ReadResult>;
  getPrompt(name: string, args: JsonObject, options?: CallOptions): Promise<PromptResult>;
}

/** A capability as the session's client sees it. */
export interface AdvertisedCapability {
  /** The advertised name of a tool or prompt; the URI of a resource. */
  readonly name: string;
  readonly description?: string;
  /** A tool's schema as the backend sent it. */
  readonly inputSchema?: JsonObject;
  /** The text that stands for it in a list. */
  readonly json: string;
  /** The same text, parsed. */
  readonly value: JsonObject;
}

/**
 * One client's live session: a connection to every backend that answered, and the routes to them.
 *
 * The lists are copies: changing them changes nothing in the session. Disposing stops admission, waits for
 * calls in flight up to the drain deadline, aborts the rest and closes every connection even if some refuse;
 * it is safe to repeat, and every repetition waits for the same end.
 */
export interface MultiSession extends ToolCaller, AsyncDisposable {
  readonly id: SessionId;
  readonly createdAtMs: number;
  readonly identity: Identity;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tools: readonly AdvertisedCapability[];
  readonly prompts: readonly AdvertisedCapability[];
  readonly resources: readonly AdvertisedCapability[];
  /** When it was made, touched or last used by a call, whichever came last. */
  readonly lastUsedAtMs: number;
  /** True while a call is in flight, a stream is open or an answer of the client is awaited. */
  readonly isBusy: boolean;
  /** True until something was asked of it: a call, a list, a stream. Default: it counts as used. */
  readonly isUnused?: boolean;
  /** As disposing, but a call that has to be aborted ends with this error. Default: the session's own. */
  close?(reason: VmcpError): Promise<void>;
  /**
   * Notes who asks now, before a request is served: the same issuer and subject as ever, perhaps with a newer
   * proof. Costs one assignment. Default: the identity stays that of the first request.
   */
  identify?(identity: Identity): void;
  /** Notes that the client is still there. Costs one assignment; called for every request. */
  touch(): void;
}

export interface MakeSessionOptions {
  readonly client: ClientProfile;
  /** Aborting ends every attempt to connect; the factory then rejects and leaves nothing open. */
  readonly signal?: AbortSignal;
  /** How long disposing waits for calls in flight before it aborts them. Default: the factory's own. */
  readonly drainDeadlineMs?: number;
}

/**
 * Makes fully formed sessions: a half-built one is never visible, and one that cannot be had leaves nothing open.
 *
 * Backends are connected in parallel. One that fails is left out; a session with none is a valid, empty
 * session and not an error. Absent entries are skipped.
 */
export interface MultiSessionFactory<S extends MultiSession = MultiSession> {
  /** Mints the id itself. */
  makeSession(
    identity: Identity,
    backends: readonly (SessionBackend | undefined)[],
    options: MakeSessionOptions,
  ): Promise<S>;
  /** Rejects with `invalid_argument` where the id is empty or not visible ASCII. */
  makeSessionWithId(
    id: string,
    identity: Identity,
    backends: readonly (SessionBackend | undefined)[],
    options: MakeSessionOptions,
  ): Promise<S>;
}
