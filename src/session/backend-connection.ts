import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { VmcpError } from "../domain/errors.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AnswerSink, BackendMessage, Exchange, OutboundRequest } from "../mcp/exchange.ts";
import type { LinkPolicy } from "./link-policy.ts";

/** The client on whose behalf a session exists, as it described itself in `initialize`. */
export interface ClientProfile {
  /** The revision agreed with the client; what is agreed with a backend is independent of it. */
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly info: JsonObject;
  /**
   * The session has many clients, who can each be asked for something during their own calls only: what a backend asks
   * at another time is refused. Default false.
   */
  readonly isAskedInCallsOnly?: boolean;
  /** Where its session was opened from; absent for what did not come over the network. Never told to backends. */
  readonly address?: string;
}

/** What happens on a connection without having been asked for. Called by the connection, never after its close. */
export interface ConnectionListener {
  /** A notification or request that belongs to no call's own stream (GET stream, or any on stdio). */
  unsolicited(message: BackendMessage): void;
  /** The connection ended by itself (child exited, backend forgot the session). Comes at most once. */
  lost(error: VmcpError): void;
}

export interface ConnectRequest {
  readonly sessionId: SessionId;
  readonly identity: Identity;
  /** The identity of the session's latest request; default: always the one above. */
  readonly currentIdentity?: () => Identity;
  readonly client: ClientProfile;
  readonly listener: ConnectionListener;
  /** Lists that are known to be current; where given, no list is fetched. */
  readonly knownCapabilities?: CapabilitySet | undefined;
}

/**
 * One live, initialized connection of one session to one backend.
 *
 * Requests carry the ids of their caller, which are unique among those in flight; the connection's own
 * requests use ids with the prefix `vmcp:`. Nothing is retried here: a failure says in `executionState`
 * whether the backend may have run the call.
 */
export interface BackendConnection extends AsyncDisposable {
  readonly backend: BackendName;
  /** A bearer secret between the gateway and the backend: never logged, never shown. */
  readonly backendSessionId: string | undefined;
  readonly greeting: BackendGreeting;
  /** Each call has a backend session of its own, whose loss leaves the connection as good as before. */
  readonly hasSessionPerCall?: boolean;
  /** Each request stands alone, so that nothing is lost with the connection. */
  readonly isStateless?: boolean;
  forward(request: OutboundRequest, sink: AnswerSink): Exchange;
  /** Sends a notification or an answer to a request of the backend. Rejects if it could not be handed over. */
  send(message: Buffer): Promise<void>;
  /** Opens the backend's own notification stream where the transport has one. Safe to repeat. */
  openNotifications(): void;
  /** Fetches every page of every list that the backend's greeting announces. */
  listCapabilities(signal: AbortSignal): Promise<CapabilitySet>;
  /** Ends the backend session (HTTP DELETE, end of the process group). Never rejects twice; safe to repeat. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * What an attempt to connect came to. A usable outcome has a connection and capabilities and no error; the
 * receiver of any other outcome closes the connection that it may carry.
 */
export interface ConnectOutcome {
  readonly connection?: BackendConnection | undefined;
  readonly capabilities?: CapabilitySet | undefined;
  readonly error?: unknown;
}

/** A backend as a session sees it: its name and how to reach it. */
export interface SessionBackend {
  readonly name: BackendName;
  /**
   * Stands for the server behind the name: equal wherever the same server is meant, in other processes and after a
   * reload too, and never shown to anybody. Default: nothing tells servers of one name apart.
   */
  readonly serverId?: string | undefined;
  /** Default: everything in it is off. */
  readonly policy?: LinkPolicy | undefined;
  /**
   * Connects, initializes and lists. Rejecting and returning an outcome with an error mean the same. A
   * signal that aborts ends every socket and child of the attempt.
   */
  connect(request: ConnectRequest, signal: AbortSignal): Promise<ConnectOutcome>;
}
