import type { BackendGreeting } from "../domain/capabilities.ts";
import type { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import type {
  InboundNotification,
  InboundRequest,
  InboundResponse,
} from "../mcp/inbound-message.ts";
import type { ClientProfile } from "./backend-connection.ts";
import type { MultiSession } from "./session.ts";
import type { ListName } from "./view.ts";

/** A stream towards the client on which messages flow that answer no request of its own. */
export interface ClientStream {
  /** Hands over one JSON-RPC message. False means that it was not taken and belongs to the sender still. */
  send(message: Buffer): boolean;
  /** The session has ended; nothing follows. */
  end(): void;
}

/** A client's stream while it is attached; disposing of it detaches the stream. */
export interface AttachedStream extends Disposable {
  /** The stream can take more: sends what was held back. */
  flush(): void;
}

/** How long a result may be kept, and whether what one client was told is true for others. */
export interface CacheHint {
  /** 0: it may be out of date at once. */
  readonly ttlMs: number;
  readonly cacheScope: "public" | "private";
}

/** Where one configured backend stands in one session. */
export interface BackendStanding {
  readonly name: BackendName;
  readonly phase: "idle" | "connecting" | "ready" | "resting" | "failed" | "closed";
  readonly greeting: BackendGreeting | undefined;
  readonly failure: VmcpError | undefined;
}

/**
 * A session as the protocol edges use it: bytes in, bytes out.
 *
 * `forward` is the one primitive; the calls of `MultiSession` are adapters over it.
 */
export interface EdgeSession extends MultiSession {
  readonly client: ClientProfile;

  /** Whether it is on its way out: what is under way goes on for a while, and nothing new begins. Default false. */
  readonly isEnding?: boolean;

  /**
   * Sends a request of the client to the backend that owns what it names; the answer flows into `sink`.
   *
   * Throws before anything is sent: `session_closed`, `capability_not_found`, `invalid_params`,
   * `invalid_request` (an id that is already in flight) or `overloaded`.
   */
  forward(request: InboundRequest, sink: AnswerSink): Exchange;

  /**
   * The `Exchange.serverId` that this request would have were it sent now. Throws as `forward` does for what names
   * nothing. Default: nothing is known of servers.
   */
  serverIdOf?(request: InboundRequest): string | undefined;

  /**
   * One page of a list as the JSON bytes of a result, names already those that the client may use: the same buffer for
   * everybody who is shown that page, not to be written to. Throws `invalid_params` for a cursor that no page of the
   * list as it is now gave out.
   */
  list(name: ListName, cursor?: JsonValue): Buffer;

  /** Takes a notification of the client: cancellation, progress, `initialized`, roots changes. Others end here. */
  notify(notification: InboundNotification): void;

  /** Takes the client's answer to a request of a backend. One that nobody waits for is dropped. */
  answer(response: InboundResponse): void;

  /** Sets the log level on every backend that logs, and on those that join later. */
  setLogLevel(level: string): void;

  /**
   * Opens the stream for what answers no request; see `AttachedStream`. Throws `stream_conflict` while
   * another one is open, which is left unharmed.
   */
  attachStream(stream: ClientStream): AttachedStream;

  /**
   * How the backend defines the tool of that advertised name: the same object for as long as it stays so. Undefined
   * for an unknown one. Default: nothing is known of any.
   */
  toolDefinition?(name: string): JsonObject | undefined;

  /** How long clients may keep the lists, and whether for others too. Default: not at all. */
  cacheHint?(): CacheHint;

  /** Every configured backend, in the order of the configuration. */
  backends(): readonly BackendStanding[];

  /** Tries the backend again if it is down; called when something has seen it alive. */
  retry(backend: BackendName): void;
}
