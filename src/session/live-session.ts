import type { CapabilitySet } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import { subjectOf, type Identity } from "../domain/identity.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import {
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../mcp/exchange.ts";
import type {
  InboundNotification,
  InboundRequest,
  InboundResponse,
} from "../mcp/inbound-message.ts";
import { encodeRequest, OWN_ID_PREFIX, type RequestId } from "../mcp/json-rpc.ts";
import { AdmissionGate } from "./admission-gate.ts";
import { toAdvertisedCapability } from "./advertised-capability.ts";
import type { BackendConnection, ClientProfile, SessionBackend } from "./backend-connection.ts";
import { BackendLink } from "./backend-link.ts";
import { Call, type CallHost } from "./call.ts";
import { clientKindOf } from "./catalogues.ts";
import { ClientRequests } from "./client-requests.ts";
import type { AttachedStream, BackendStanding, ClientStream, EdgeSession } from "./edge-session.ts";
import { isBelowLevel } from "./log-levels.ts";
import type { LiveSessionOptions } from "./live-session-options.ts";
import { Outbox } from "./outbox.ts";
import { Relisting } from "./relisting.ts";
import type {
  AdvertisedCapability,
  CallOptions,
  PromptResult,
  ReadResult,
  ToolCallResult,
} from "./session.ts";
import { SessionCaller } from "./session-caller.ts";
import { SessionLists, type ListChange } from "./session-lists.ts";
import { SessionRoutes } from "./session-routes.ts";
import { canListTasks, mergeTaskLists } from "./task-lists.ts";
import type { ListName } from "./view.ts";

/** The notification that says so when a list has changed. Templates have none of their own. */
const LIST_CHANGED: Readonly<Record<ListName, string>> = {
  tools: "notifications/tools/list_changed",
  prompts: "notifications/prompts/list_changed",
  resources: "notifications/resources/list_changed",
  resourceTemplates: "notifications/resources/list_changed",
};

const LIST_CHANGED_METHODS: ReadonlySet<string> = new Set(Object.values(LIST_CHANGED));

/**
 * The live half of one client's session: its links to every backend, and what of them the client sees.
 *
 * Its lists are resolved over what every configured backend last offered, so that names do not depend on
 * which backend answered first. Once begun, every change of a list is told to the client.
 */
export class LiveSession implements EdgeSession, CallHost {
  readonly id: SessionId;
  readonly identity: Identity;
  readonly client: ClientProfile;
  readonly createdAtMs: number;
  readonly #options: LiveSessionOptions;
  readonly #links = new Map<BackendName, BackendLink>();
  readonly #lists: SessionLists;
  readonly #gate = new AdmissionGate();
  readonly #inFlight = new Map<RequestId, Call>();
  readonly #clientRequests: ClientRequests;
  readonly #outbox = new Outbox();
  readonly #routes = new SessionRoutes();
  readonly #relisting: Relisting;
  readonly #subscriptions = new Map<string, BackendName>();
  readonly #caller: SessionCaller;
  #logLevel: string | undefined;
  #lastUsedAtMs: number;
  #ownRequests = 0;
  #closing: Promise<void> | undefined;

  constructor(options: LiveSessionOptions) {
    this.id = options.id;
    this.identity = options.identity;
    this.client = options.client;
    this.createdAtMs = options.now();
    this.#lastUsedAtMs = this.createdAtMs;
    this.#options = options;
    this.#lists = new SessionLists({
      ...options,
      backends: options.backends.map(({ name }) => name),
      clientKind: clientKindOf(options.client, options.identity),
      onChanged: (change) => this.#listsReplaced(change),
    });
    this.#clientRequests = new ClientRequests({
      clientCapabilities: options.client.capabilities,
      answerTimeoutMs: options.clientAnswerTimeoutMs,
      tellClient: (message) => this.#outbox.send(message),
    });
    this.#relisting = new Relisting(async (backend, signal) => this.#relist(backend, signal));
    this.#caller = new SessionCaller((request, sink) => this.forward(request, sink));
    for (const backend of options.backends)
      this.#links.set(backend.name, this.#createLink(backend));
  }

  get lastUsedAtMs(): number {
    return this.#lastUsedAtMs;
  }

  get isBusy(): boolean {
    return this.#inFlight.size > 0 || this.#outbox.isOpen || this.#clientRequests.pendingCount > 0;
  }

  get metadata(): Readonly<Record<string, string>> {
    const subject = subjectOf(this.identity);
    const connected = [...this.#links.values()]
      .filter((link) => link.phase === "ready")
      .map((link) => link.name)
      .toSorted();
    return {
      ...(subject !== undefined && { "vmcp.identity.subject": subject }),
      ...(connected.length > 0 && { "vmcp.backend.ids": connected.join(",") }),
    };
  }

  get tools(): readonly AdvertisedCapability[] {
    return this.#lists.current().aggregate.tools.map(toAdvertisedCapability);
  }

  get prompts(): readonly AdvertisedCapability[] {
    return this.#lists.current().aggregate.prompts.map(toAdvertisedCapability);
  }

  get resources(): readonly AdvertisedCapability[] {
    return this.#lists.current().aggregate.resources.map(toAdvertisedCapability);
  }

  touch(): void {
    this.#lastUsedAtMs = this.#options.now();
  }

  /** Connects to every backend; resolves when each attempt has ended. */
  async connect(): Promise<void> {
    await Promise.all([...this.#links.values()].map(async (link) => link.connect()));
  }

  /** From now on the client is told when a list changes; until now it had none. */
  begin(): void {
    this.#lists.begin();
  }

  forward(request: InboundRequest, sink: AnswerSink): Exchange {
    const { id, method, params } = request;
    this.#lastUsedAtMs = this.#options.now();
    if (this.#inFlight.has(id)) {
      throw new VmcpError("invalid_request", "A request with this id is already in flight");
    }
    if (this.#inFlight.size >= this.#options.maxCallsInFlight) {
      throw new VmcpError(
        "overloaded",
        `The session has ${this.#options.maxCallsInFlight} calls in flight; wait for one to end`,
        { retryAfterSeconds: 1 },
      );
    }
    const taskLists = method === "tasks/list" ? this.#taskListers() : [];
    if (taskLists.length > 1) {
      return mergeTaskLists(taskLists, request, sink, (backend, result) =>
        this.#routes.noteResult(backend, { method }, result),
      );
    }
    const { backend, bytes } = this.#routes.target(this.#lists.current(), request, () =>
      this.backends(),
    );
    const link = this.#links.get(backend);
    if (link === undefined) {
      throw new VmcpError("no_backend_connection", `Backend "${backend}" has no connection here`);
    }
    if (!this.#gate.enter()) throw sessionClosed();
    try {
      this.#options.callLimits.enter(backend);
    } catch (error) {
      this.#gate.leave();
      throw error;
    }
    const progressToken = progressTokenOf(params);
    const outbound: OutboundRequest = {
      id,
      method,
      bytes,
      ...(progressToken !== undefined && { progressToken }),
    };
    const call = new Call(this, link, outbound, sink);
    this.#inFlight.set(id, call);
    call.start();
    return call;
  }

  list(name: ListName, cursor?: JsonValue): Buffer {
    this.touch();
    const pages = this.#lists.current().lists[name];
    if (cursor === undefined) return pages.first;
    const page = typeof cursor === "string" ? pages.at(cursor) : undefined;
    if (page !== undefined) return page;
    throw new VmcpError(
      "invalid_params",
      "The cursor is not of this list: list again from its start",
    );
  }

  notify({ method, params, bytes }: InboundNotification): void {
    this.touch();
    switch (method) {
      case "notifications/initialized":
        this.#outbox.markInitialized();
        return;
      case "notifications/cancelled":
        this.#cancel(params);
        return;
      case "notifications/progress":
        for (const connection of this.#clientRequests.connectionsWithToken(
          params?.["progressToken"],
        )) {
          tell(connection, bytes);
        }
        return;
      case "notifications/roots/list_changed":
        for (const link of this.#links.values()) {
          if (link.connection !== undefined) tell(link.connection, bytes);
        }
        return;
      default:
        this.#options.logger.debug("notification of a client ends here");
    }
  }

  answer(response: InboundResponse): void {
    this.touch();
    if (!this.#clientRequests.answer(response)) {
      this.#options.logger.debug("answer of a client that nobody waits for was dropped");
    }
  }

  setLogLevel(level: string): void {
    this.touch();
    this.#logLevel = level;
    for (const link of this.#links.values()) this.#replayLogLevel(link);
  }

  attachStream(stream: ClientStream): AttachedStream {
    if (this.#closing !== undefined) throw sessionClosed();
    const attached = this.#outbox.attach(stream);
    for (const link of this.#links.values()) link.connection?.openNotifications();
    return attached;
  }

  backends(): readonly BackendStanding[] {
    return [...this.#links.values()].map((link) => ({
      name: link.name,
      phase: link.phase,
      greeting: link.connection?.greeting,
      failure: link.failure,
    }));
  }

  retry(backend: BackendName): void {
    const link = this.#links.get(backend);
    if (link?.phase === "failed") void link.connect();
  }

  async callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult> {
    return this.#caller.callTool(name, args, options);
  }

  async readResource(uri: string, options?: CallOptions): Promise<ReadResult> {
    return this.#caller.readResource(uri, options);
  }

  async getPrompt(name: string, args: JsonObject, options?: CallOptions): Promise<PromptResult> {
    return this.#caller.getPrompt(name, args, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  admitEvent(call: Call, event: BackendMessage): BackendMessage | undefined {
    const { id, method } = event.message;
    if (method === undefined) return undefined;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#listsChanged(call.link.name);
      return undefined;
    }
    if (call.connection === undefined) return undefined;
    return id === undefined
      ? this.#admitNotification(call.connection, event)
      : this.#clientRequests.accept(call.connection, event);
  }

  answered(call: Call, { message }: BackendMessage): void {
    const { method, bytes } = call.request;
    this.#routes.noteResult(call.link.name, call.request, message.result);
    if (method === "resources/subscribe" && message.result !== undefined) {
      this.#remember(uriIn(bytes), call.link.name);
      call.connection?.openNotifications();
    }
    if (method === "resources/unsubscribe") this.#subscriptions.delete(uriIn(bytes));
  }

  /** Beyond the bound a subscription works like any other, but is not renewed when its backend was lost. */
  #remember(uri: string, backend: BackendName): void {
    if (this.#subscriptions.size < MAX_SUBSCRIPTIONS) this.#subscriptions.set(uri, backend);
    else this.#options.logger.warn("a session has too many subscriptions to renew them all");
  }

  ended(call: Call): void {
    this.#inFlight.delete(call.request.id);
    this.#lastUsedAtMs = this.#options.now();
    this.#options.callLimits.leave(call.link.name);
    this.#gate.leave();
  }

  async #close(): Promise<void> {
    this.#lists.close();
    this.#relisting.close();
    const hasDrained = await this.#gate.closeAndDrain(this.#options.drainDeadlineMs);
    if (!hasDrained) for (const call of this.#inFlight.values()) call.abort(sessionClosed());
    this.#clientRequests.close();
    this.#outbox.close();
    const results = await Promise.allSettled(
      [...this.#links.values()].map(async (link) => link[Symbol.asyncDispose]()),
    );
    const failures = results.flatMap((result) =>
      result.status === "rejected" ? [VmcpError.from(result.reason)] : [],
    );
    if (failures.length === 0) return;
    const reasons = failures.map(({ message }) => message).join("; ");
    throw new VmcpError("internal", `Closing the session failed: ${reasons}`, {
      cause: new AggregateError(failures),
    });
  }

  #createLink(backend: SessionBackend): BackendLink {
    const { id, identity, client, now, logger } = this.#options;
    return new BackendLink({
      backend,
      request: { sessionId: id, identity, client },
      slots: [this.#options.sessionSlots, this.#options.processSlots],
      startTimeoutMs: this.#options.startTimeoutMs,
      closeDeadlineMs: this.#options.drainDeadlineMs,
      now,
      logger,
      knownCapabilities: () => this.#lists.known(backend.name),
      onReady: (link, capabilities) => this.#linkReady(link, capabilities),
      onUnsolicited: (link, message) => this.#unsolicited(link, message),
    });
  }

  #linkReady(link: BackendLink, fetched: CapabilitySet): void {
    this.#lists.offerAtStart(link.name, fetched);
    this.#replayLogLevel(link);
    this.#replaySubscriptions(link);
    if (this.#outbox.isOpen) link.connection?.openNotifications();
  }

  #taskListers(): readonly BackendConnection[] {
    return [...this.#links.values()].flatMap(({ connection }) =>
      connection !== undefined && canListTasks(connection) ? [connection] : [],
    );
  }

  /** A message that belongs to no call's own stream: it goes where the client expects it most. */
  #unsolicited(link: BackendLink, message: BackendMessage): void {
    const { id, method, params } = message.message;
    if (method === undefined) return;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#listsChanged(link.name);
      return;
    }
    const calls = [...this.#inFlight.values()].filter((call) => call.link === link);
    if (method === "notifications/progress") {
      const token = params?.["progressToken"];
      if (token === undefined) return;
      const call = calls.find(({ request }) => request.progressToken === token);
      call?.event(message);
      // A token that nobody here has given is of no use to anyone, and perhaps another session's.
      if (call !== undefined || !this.#routes.isTaskToken(link.name, token)) return;
    }
    const [oldest] = calls;
    if (oldest !== undefined && (calls.length === 1 || !this.#outbox.isOpen)) {
      oldest.event(message);
      return;
    }
    const { connection } = link;
    if (connection === undefined) return;
    const admitted =
      id === undefined
        ? this.#admitNotification(connection, message)
        : this.#clientRequests.accept(connection, message);
    if (admitted !== undefined) this.#outbox.send(admitted.bytes);
  }

  /** A notification as the client may see it. */
  #admitNotification(
    connection: BackendConnection,
    notification: BackendMessage,
  ): BackendMessage | undefined {
    const { method, params } = notification.message;
    if (method === "notifications/cancelled") {
      return this.#clientRequests.withdraw(connection, notification);
    }
    // A backend may not have heard of the level yet, or not care.
    const isUnwanted =
      method === "notifications/message" &&
      this.#logLevel !== undefined &&
      isBelowLevel(params?.["level"], this.#logLevel);
    return isUnwanted ? undefined : notification;
  }

  #listsChanged(backend: BackendName): void {
    this.#lists.invalidate(backend);
    this.#relisting.request(backend);
  }

  async #relist(backend: BackendName, signal: AbortSignal): Promise<void> {
    const connection = this.#links.get(backend)?.connection;
    if (connection === undefined) return;
    const fetched = await connection.listCapabilities(signal);
    if (!signal.aborted) this.#lists.offerChanged(backend, fetched);
  }

  #listsReplaced({ before, after, lists }: ListChange): void {
    this.#routes.viewChanged(before, after, (route) => this.#lists.isOffered(route));
    for (const name of lists) this.#outbox.listChanged(LIST_CHANGED[name]);
  }

  #replayLogLevel(link: BackendLink): void {
    const canLog = link.connection?.greeting.capabilities["logging"] !== undefined;
    if (this.#logLevel === undefined || !canLog) return;
    this.#sendOwn(link, "logging/setLevel", { level: this.#logLevel });
  }

  #replaySubscriptions(link: BackendLink): void {
    for (const [uri, backend] of this.#subscriptions) {
      if (backend !== link.name) continue;
      this.#sendOwn(link, "resources/subscribe", { uri });
      link.connection?.openNotifications();
    }
  }

  /** A request of the gateway's own, whose answer interests nobody. */
  #sendOwn(link: BackendLink, method: string, params: JsonObject): void {
    this.#ownRequests += 1;
    const id = `${OWN_ID_PREFIX}session:${this.#ownRequests}`;
    link.connection?.forward({ id, method, bytes: encodeRequest(id, method, params) }, DEAF_SINK);
  }

  #cancel(params: JsonObject | undefined): void {
    const requestId = params?.["requestId"];
    if (typeof requestId !== "string" && typeof requestId !== "number") return;
    const reason = params?.["reason"];
    this.#inFlight.get(requestId)?.cancelByClient(typeof reason === "string" ? reason : "");
  }
}

/** Subscriptions of one session that are renewed at a backend which had to be connected again. */
const MAX_SUBSCRIPTIONS = 1_000;

const DEAF_SINK: AnswerSink = {
  event: () => true,
  answer() {},
  fail() {},
};

function sessionClosed(): VmcpError {
  return new VmcpError("session_closed", "The session was closed; open a new one", {
    executionState: "unknown",
  });
}

/** A backend that can no longer be told has already ended its side. */
function tell(connection: BackendConnection, bytes: Buffer): void {
  connection.send(bytes).catch(() => {});
}

function progressTokenOf(params: JsonObject | undefined): RequestId | undefined {
  const meta = params?.["_meta"];
  const token = isJsonObject(meta) ? meta["progressToken"] : undefined;
  return typeof token === "string" || typeof token === "number" ? token : undefined;
}

function uriIn(bytes: Buffer): string {
  // The request was routed by this very member, so it is there and a string.
  const { params } = JSON.parse(bytes.toString()) as { params: { uri: string } };
  return params.uri;
}
