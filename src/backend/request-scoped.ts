import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { VmcpError } from "../domain/errors.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../mcp/exchange.ts";
import { toTransports, type BackendConnector } from "./connector.ts";
import { closedByGatewayError } from "./failures.ts";
import { backendError } from "./node-errors.ts";
import { openConnection } from "./open-connection.ts";
import { toSettings, type BackendOptions, type BackendSettings } from "./options.ts";
import type { BackendConnection, ConnectionListener, ConnectRequest } from "./ports.ts";
import { createPassingProbe } from "./probe.ts";
import { STATELESS_REVISION } from "../mcp/revisions.ts";
import { answerEmpty, levelIn } from "./stateless/local-requests.ts";
import { BorrowedIds } from "./borrowed-ids.ts";
import { ScopedCall } from "./scoped-call.ts";
import type { Transports } from "./transports.ts";

/**
 * Makes a connector whose connections keep nothing open: each call opens a backend session, uses it once and
 * ends it, also when the call is cancelled.
 *
 * Lists are fetched when connecting, by a backend session that is then closed. Checks the options as
 * `createBackendConnector` does.
 */
export function createRequestScopedConnector(options: BackendOptions): BackendConnector {
  const settings = toSettings(options);
  const transports = toTransports(settings);
  return {
    connect: async (request, signal) => {
      const listener = new LateListener();
      const looking = { ...request, listener };
      const opened = await openConnection(transports, settings, looking, signal);
      const { connection, capabilities } = opened;
      if (connection.isStateless === true && settings.transport !== "stdio") {
        listener.hear(request.listener);
        return { connection: new UnsubscribedConnection(connection), capabilities };
      }
      await connection[Symbol.asyncDispose]();
      const { greeting } = connection;
      const scoped = new RequestScopedConnection(transports, settings, request, greeting);
      return { connection: scoped, capabilities };
    },
    setTimeouts: (timeouts) => void Object.assign(settings.timeouts, timeouts),
    createProbe: (onListsChanged = () => {}) =>
      createPassingProbe({ transports, settings, onListsChanged }),
  };
}

/** A backend as one session sees it under `request` isolation: a greeting and the way to open calls. */
class RequestScopedConnection implements BackendConnection {
  readonly backendSessionId = undefined;
  readonly hasSessionPerCall = true;
  readonly greeting: BackendGreeting;
  readonly #transports: Transports;
  readonly #settings: BackendSettings;
  readonly #request: RequestOrigin;
  readonly #calls = new Map<ScopedCall, Promise<void>>();
  readonly #ids = new BorrowedIds<ScopedCall>();
  /** Where the backend has no session to which it could be told. */
  #logLevel: string | undefined;
  #isClosed = false;

  constructor(
    transports: Transports,
    settings: BackendSettings,
    request: RequestOrigin,
    greeting: BackendGreeting,
  ) {
    this.#transports = transports;
    this.#settings = settings;
    this.#request = request;
    this.greeting = greeting;
  }

  get backend(): BackendName {
    return this.#settings.name;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    const refusal = this.#isClosed
      ? closedByGatewayError(this.backend, false)
      : refusalOf(request.method, this.backend);
    if (refusal !== undefined) {
      queueMicrotask(() => sink.fail(refusal));
      return ENDED_EXCHANGE;
    }
    if (request.method === "logging/setLevel" && this.greeting.revision === STATELESS_REVISION) {
      this.#logLevel = levelIn(request);
      return answerEmpty(request, sink);
    }
    const call = new ScopedCall(request, sink, this.#ids);
    this.#calls.set(call, this.#run(call));
    return call;
  }

  /** An answer goes to the call that was asked. Of anything else no backend session is there to hear. */
  async send(message: Buffer): Promise<void> {
    const borrowed = this.#ids.giveBack(message);
    if (borrowed !== undefined) await borrowed.owner.send(borrowed.message);
  }

  openNotifications(): void {}

  async listCapabilities(signal: AbortSignal): Promise<CapabilitySet> {
    const request = { ...originOf(this.#request), listener: DEAF_LISTENER };
    const opened = await openConnection(this.#transports, this.#settings, request, signal);
    await opened.connection[Symbol.asyncDispose]();
    return opened.capabilities;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const call of this.#calls.keys()) call.end(closedByGatewayError(this.backend, true));
    await Promise.allSettled(this.#calls.values());
  }

  async #run(call: ScopedCall): Promise<void> {
    await call.run(async (listener, signal) => {
      // What the backend offers is known already; the empty set keeps the lists from being fetched again.
      const known = { knownCapabilities: NO_CAPABILITIES, logLevel: this.#logLevel };
      const request = { ...originOf(this.#request), listener, ...known };
      const opened = await openConnection(this.#transports, this.#settings, request, signal);
      return opened.connection;
    });
    this.#calls.delete(call);
  }
}

/**
 * A backend whose requests stand alone anyway, so that nothing has to be opened for each of them: only what would need
 * something to stay open between them is refused.
 */
class UnsubscribedConnection implements BackendConnection {
  readonly backendSessionId = undefined;
  readonly isStateless = true;
  readonly #connection: BackendConnection;

  constructor(connection: BackendConnection) {
    this.#connection = connection;
  }

  get backend(): BackendName {
    return this.#connection.backend;
  }

  get greeting(): BackendGreeting {
    return this.#connection.greeting;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    const refusal = refusalOf(request.method, this.backend);
    if (refusal === undefined) return this.#connection.forward(request, sink);
    queueMicrotask(() => sink.fail(refusal));
    return ENDED_EXCHANGE;
  }

  async send(message: Buffer): Promise<void> {
    await this.#connection.send(message);
  }

  openNotifications(): void {}

  async listCapabilities(signal: AbortSignal): Promise<CapabilitySet> {
    return this.#connection.listCapabilities(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}

function refusalOf(method: string, backend: BackendName): VmcpError | undefined {
  if (method !== "resources/subscribe" && method !== "resources/unsubscribe") return undefined;
  const sentence = "is connected anew for each request and keeps no subscriptions";
  return backendError(backend, "method_not_found", sentence, { executionState: "not_executed" });
}

/** Whose calls they are, and for whom. */
type RequestOrigin = Pick<ConnectRequest, "client" | "identity" | "currentIdentity">;

function originOf({ client, identity, currentIdentity }: RequestOrigin): RequestOrigin {
  return { client, identity, ...(currentIdentity !== undefined && { currentIdentity }) };
}

const NO_CAPABILITIES: CapabilitySet = {
  hash: "",
  tools: [],
  prompts: [],
  resources: [],
  resourceTemplates: [],
};

const DEAF_LISTENER = { unsolicited() {}, lost() {} };

/** Hears nothing until it is known who wants to hear of the connection. */
class LateListener implements ConnectionListener {
  #listener: ConnectionListener = DEAF_LISTENER;

  hear(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  unsolicited(message: BackendMessage): void {
    this.#listener.unsolicited(message);
  }

  lost(error: VmcpError): void {
    this.#listener.lost(error);
  }
}
