import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { VmcpError } from "../domain/errors.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type Exchange,
  type OutboundRequest,
} from "../mcp/exchange.ts";
import { toTransports, type BackendConnector } from "./connector.ts";
import { closedByGatewayError } from "./failures.ts";
import { backendError } from "./node-errors.ts";
import { openConnection } from "./open-connection.ts";
import { toSettings, type BackendOptions, type BackendSettings } from "./options.ts";
import type { BackendConnection, ClientProfile } from "./ports.ts";
import { createPassingProbe } from "./probe.ts";
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
      const looking = { ...request, listener: DEAF_LISTENER };
      const opened = await openConnection(transports, settings, looking, signal);
      const { connection, capabilities } = opened;
      await connection[Symbol.asyncDispose]();
      const { greeting } = connection;
      const scoped = new RequestScopedConnection(transports, settings, request.client, greeting);
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
  readonly #client: ClientProfile;
  readonly #calls = new Map<ScopedCall, Promise<void>>();
  readonly #ids = new BorrowedIds<ScopedCall>();
  #isClosed = false;

  constructor(
    transports: Transports,
    settings: BackendSettings,
    client: ClientProfile,
    greeting: BackendGreeting,
  ) {
    this.#transports = transports;
    this.#settings = settings;
    this.#client = client;
    this.greeting = greeting;
  }

  get backend(): BackendName {
    return this.#settings.name;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    const refusal = this.#refusal(request.method);
    if (refusal !== undefined) {
      queueMicrotask(() => sink.fail(refusal));
      return ENDED_EXCHANGE;
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
    const request = { client: this.#client, listener: DEAF_LISTENER };
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
      const request = { client: this.#client, listener, knownCapabilities: NO_CAPABILITIES };
      const opened = await openConnection(this.#transports, this.#settings, request, signal);
      return opened.connection;
    });
    this.#calls.delete(call);
  }

  #refusal(method: string): VmcpError | undefined {
    if (this.#isClosed) return closedByGatewayError(this.backend, false);
    if (method !== "resources/subscribe" && method !== "resources/unsubscribe") return undefined;
    const sentence = "is connected anew for each request and keeps no subscriptions";
    return backendError(this.backend, "method_not_found", sentence, {
      executionState: "not_executed",
    });
  }
}

const NO_CAPABILITIES: CapabilitySet = {
  hash: "",
  tools: [],
  prompts: [],
  resources: [],
  resourceTemplates: [],
};

const DEAF_LISTENER = { unsolicited() {}, lost() {} };
