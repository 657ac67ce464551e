import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { VmcpError } from "../domain/errors.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AnswerSink, BackendMessage, Exchange, OutboundRequest } from "../mcp/exchange.ts";

/** The client as a backend is to see it: what `initialize` says of who calls and what it can do. */
export interface ClientProfile {
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly info: JsonObject;
}

/** Who hears what happens on a connection without having been asked for. Never called after its close. */
export interface ConnectionListener {
  unsolicited(message: BackendMessage): void;
  lost(error: VmcpError): void;
}

export interface ConnectRequest {
  readonly sessionId: SessionId;
  readonly identity: Identity;
  /** The identity of the session's latest request; default: always the one above. */
  readonly currentIdentity?: () => Identity;
  readonly client: ClientProfile;
  readonly listener: ConnectionListener;
  readonly knownCapabilities?: CapabilitySet | undefined;
}

/** One live, greeted connection to one backend. */
export interface BackendConnection extends AsyncDisposable {
  readonly backend: BackendName;
  readonly backendSessionId: string | undefined;
  readonly greeting: BackendGreeting;
  readonly hasSessionPerCall?: boolean;
  readonly isStateless?: boolean;
  forward(request: OutboundRequest, sink: AnswerSink): Exchange;
  send(message: Buffer): Promise<void>;
  openNotifications(): void;
  listCapabilities(signal: AbortSignal): Promise<CapabilitySet>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConnectOutcome {
  readonly connection: BackendConnection;
  readonly capabilities: CapabilitySet;
}

/** What sets a request apart that belongs to no session: it is said with it what a session would know. */
interface StandaloneRequest {
  /** Sent over HTTP besides those of every request: names and values in turn. */
  readonly headers: readonly string[];
  /** Its answer may take for ever: it must not take a place among those of calls. */
  readonly isStream?: boolean;
}

export interface ChannelRequest extends OutboundRequest {
  /**
   * Where it is set, breaking the request off over HTTP is all that its cancellation takes, and an answer that
   * broke off is not taken up again.
   */
  readonly standalone?: StandaloneRequest;
}

/**
 * What carries messages to and from one backend, before anything about MCP sessions is known.
 *
 * The listener it was made with hears everything that belongs to no call. Disposing fails the calls that are
 * still under way with `session_closed` and is safe to repeat.
 */
export interface Channel extends AsyncDisposable {
  readonly backendSessionId: string | undefined;
  /** Whether it can carry requests of the revision without sessions, and how; else it knows sessions only. */
  readonly standalone?: "http" | "stdio";
  forward(request: ChannelRequest, sink: AnswerSink): Exchange;
  send(message: Buffer): Promise<void>;
  openNotifications(): void;
  /** Says which revision `initialize` agreed on; to be called once, before anything else is sent. */
  agree(revision: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}
