import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
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
import type { RequestId } from "../mcp/json-rpc.ts";
import { AdmissionGate } from "./admission-gate.ts";
import { toAdvertisedCapability } from "./advertised-capability.ts";
import type { BackendConnection, ClientProfile, SessionBackend } from "./backend-connection.ts";
import { BackendLink } from "./backend-link.ts";
import { BackendMessages, LIST_CHANGED } from "./backend-messages.ts";
import { Call, type CallHost } from "./call.ts";
import { clientKindOf } from "./catalogues.ts";
import { ClientNotifications } from "./client-notifications.ts";
import { ClientRequests } from "./client-requests.ts";
import type { AttachedStream, BackendStanding, ClientStream, EdgeSession } from "./edge-session.ts";
import { NO_LINK_POLICY } from "./link-policy.ts";
import type { LiveSessionOptions, SessionConfiguration } from "./live-session-options.ts";
import { answerWithFault } from "./local-answer.ts";
import { Outbox } from "./outbox.ts";
import { Relisting } from "./relisting.ts";
import { RenewedRequests } from "./renewed-requests.ts";
import { renewRoots } from "./renewed-roots.ts";
import { isRepeatableCall } from "./repeatable-call.ts";
import type {
  AdvertisedCapability,
  CallOptions,
  PromptResult,
  ReadResult,
  ToolCallResult,
} from "./session.ts";
import { SessionCaller } from "./session-caller.ts";
import { SessionLinks } from "./session-links.ts";
import { SessionLists, type ListChange } from "./session-lists.ts";
import { SessionRoutes } from "./session-routes.ts";
import { canListTasks, mergeTaskLists } from "./task-lists.ts";
import type { ListName } from "./view.ts";

/**
 * The live half of one client's session: its links to every backend, and what of them the client sees.
 *
 * Its lists are resolved over what every configured backend last offered, so that names do not depend on
 * which backend answered first. Once begun, every change of a list is told to the client.
 */
export class LiveSession implements EdgeSession, CallHost {
  readonly id: SessionId;
  #identity: Identity;
  readonly client: ClientProfile;
  readonly createdAtMs: number;
  readonly #links: SessionLinks;
  readonly #lists: SessionLists;
  readonly #gate = new AdmissionGate();
  readonly #inFlight = new Map<RequestId, Call>();
  readonly #clientRequests: ClientRequests;
  readonly #outbox = new Outbox();
  readonly #routes = new SessionRoutes();
  readonly #relisting: Relisting;
  readonly #renewed: RenewedRequests;
  readonly #messages: BackendMessages;
  readonly #notifications: ClientNotifications;
  readonly #caller: SessionCaller;
  #options: LiveSessionOptions;
  #lastUsedAtMs: number;
  #isUnused = true;
  #endsWith: VmcpError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LiveSessionOptions) {
    this.id = options.id;
    this.#identity = options.identity;
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
      client: options.client,
      logger: options.logger,
      answerTimeoutMs: () => this.#options.clientAnswerTimeoutMs,
      tellClient: (message) => this.#outbox.send(message),
      forBackend: (backend, answer) => this.#routes.tasks.forBackend(backend, answer, undefined),
    });
    this.#renewed = new RenewedRequests(options.logger);
    this.#messages = new BackendMessages({
      clientRequests: this.#clientRequests,
      outbox: this.#outbox,
      routes: this.#routes,
      callsOn: (link) => this.#callsOn(link),
      logLevel: () => this.#renewed.logLevel,
      onListsChanged: (backend) => this.#listsChanged(backend),
    });
    this.#notifications = new ClientNotifications({
      outbox: this.#outbox,
      clientRequests: this.#clientRequests,
      tasks: this.#routes.tasks,
      links: () => this.#links.values(),
      callOf: (id) => this.#inFlight.get(id),
      logger: options.logger,
    });
    this.#relisting = new Relisting(async (backend, signal) => this.#relist(backend, signal));
    this.#caller = new SessionCaller((request, sink) => this.forward(request, sink));
    this.#links = new SessionLinks(
      {
        create: (backend) => this.#createLink(backend),
        callsOn: (link) => this.#callsOn(link),
      },
      options.backends,
    );
  }

  get lastUsedAtMs(): number {
    return this.#lastUsedAtMs;
  }

  get isUnused(): boolean {
    return this.#isUnused;
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

  get identity(): Identity {
    return this.#identity;
  }

  identify(identity: Identity): void {
    this.#identity = identity;
  }

  touch(): void {
    this.#lastUsedAtMs = this.#options.now();
  }

  /**
   * Connects to every backend; resolves when each attempt has ended. A backend that the session can start
   * without is not waited for longer than `patienceMs`, if that is given: one of which others like this client
   * know what it says and offers, so that it can be told without asking, and one that keeps failing.
   */
  async connect(patienceMs?: number): Promise<void> {
    await this.#links.connect((link) =>
      link.isDoubtful || this.#lists.greetingOf(link.name) !== undefined ? patienceMs : undefined,
    );
  }

  /** From now on the client is told when a list changes; until now it had none. */
  begin(): void {
    this.#lists.begin();
  }

  forward(request: InboundRequest, sink: AnswerSink): Exchange {
    const { id, method, params } = request;
    this.#noteUse();
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
      return mergeTaskLists(taskLists, request, sink, this.#routes.tasks);
    }
    const { backend, bytes, tool } = this.#routes.target(this.#lists.current(), request, () =>
      this.backends(),
    );
    const link = this.#links.get(backend);
    if (link === undefined) throw this.#withoutLink(backend);
    const fault = tool && this.#options.argumentCheck.faultOf(request, tool, this.#lists);
    if (fault !== undefined) return answerWithFault(request, fault, sink);
    if (!this.#gate.enter()) throw this.#refusal();
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
      ...(tool !== undefined && { toolName: tool.originalName }),
    };
    const call = new Call(this, link, outbound, sink);
    this.#inFlight.set(id, call);
    call.start();
    return call;
  }

  list(name: ListName, cursor?: JsonValue): Buffer {
    this.#noteUse();
    const pages = this.#lists.current().lists[name];
    if (cursor === undefined) return pages.first;
    const page = typeof cursor === "string" ? pages.at(cursor) : undefined;
    if (page !== undefined) return page;
    throw new VmcpError(
      "invalid_params",
      "The cursor is not of this list: list again from its start",
    );
  }

  notify(notification: InboundNotification): void {
    this.touch();
    this.#notifications.take(notification);
  }

  answer(response: InboundResponse): void {
    this.touch();
    if (!this.#clientRequests.answer(response)) {
      this.#options.logger.debug("answer of a client that nobody waits for was dropped");
    }
  }

  setLogLevel(level: string): void {
    this.#noteUse();
    this.#renewed.setLogLevel(level, this.#links.values());
  }

  attachStream(stream: ClientStream): AttachedStream {
    if (this.#closing !== undefined) throw this.#refusal();
    const attached = this.#outbox.attach(stream);
    this.#noteUse();
    for (const link of this.#links.values()) link.connection?.openNotifications();
    return {
      flush: () => attached.flush(),
      // An open stream is use, so its end is where the session begins to be idle.
      [Symbol.dispose]: () => {
        this.touch();
        attached[Symbol.dispose]();
      },
    };
  }

  backends(): readonly BackendStanding[] {
    return [...this.#links.values()].map((link) => ({
      name: link.name,
      phase: link.phase,
      greeting: link.connection?.greeting ?? this.#expectedGreeting(link),
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

  async close(reason: VmcpError = sessionClosed()): Promise<void> {
    this.#endsWith ??= reason;
    this.#closing ??= this.#close(this.#endsWith);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  admitEvent(call: Call, event: BackendMessage): BackendMessage | undefined {
    return this.#messages.admit(call, event);
  }

  answered(call: Call, answer: BackendMessage): BackendMessage {
    const { method, bytes } = call.request;
    const { message } = answer;
    this.#routes.noteResult(call.link.name, call.request, message.result);
    if (method === "resources/subscribe" && message.result !== undefined) {
      this.#renewed.subscribed(uriIn(bytes), call.link.name);
      call.connection?.openNotifications();
    }
    if (method === "resources/unsubscribe") this.#renewed.unsubscribed(uriIn(bytes));
    return this.#routes.tasks.answerForClient(call.link.name, method, answer);
  }

  isRepeatable(call: Call): boolean {
    return isRepeatableCall(call.request, this.#lists.offered(call.link.name));
  }

  ended(call: Call): void {
    this.#inFlight.delete(call.request.id);
    this.#lastUsedAtMs = this.#options.now();
    this.#options.callLimits.leave(call.link.name);
    this.#gate.leave();
    this.#links.callEnded(call.link);
  }

  /**
   * Takes another configuration at once: no call sees a part of it. New backends are connected, and those that
   * are gone closed as `SessionLinks` says; resolves when the latter is done. Never rejects.
   */
  async reconfigure(next: SessionConfiguration): Promise<void> {
    if (this.#closing !== undefined) {
      await Promise.allSettled([this.#closing]);
      return;
    }
    this.#options = { ...this.#options, ...next };
    const departed = this.#links.replace(next.backends, next.drainDeadlineMs);
    const backends = next.backends.map(({ name }) => name);
    const added = [...this.#links.values()].filter(({ phase }) => phase === "idle");
    this.#lists.reconfigure(backends, next.views, new Set(added.map(({ name }) => name)));
    for (const link of added) void link.connect();
    await departed;
  }

  #noteUse(): void {
    this.#isUnused = false;
    this.#lastUsedAtMs = this.#options.now();
  }

  /** What comes too late was not sent anywhere. */
  #refusal(): VmcpError {
    const { code, message } = this.#endsWith ?? sessionClosed();
    return new VmcpError(code, message, { executionState: "not_executed" });
  }

  async #close(reason: VmcpError): Promise<void> {
    this.#lists.close();
    this.#relisting.close();
    const hasDrained = await this.#gate.closeAndDrain(this.#options.drainDeadlineMs);
    if (!hasDrained) for (const call of this.#inFlight.values()) call.abort(reason);
    this.#clientRequests.close();
    this.#outbox.close();
    try {
      await this.#links[Symbol.asyncDispose]();
    } finally {
      this.#options.onClosed?.();
    }
  }

  #callsOn(link: BackendLink): readonly Call[] {
    return [...this.#inFlight.values()].filter((call) => call.link === link);
  }

  /** What a session remembers of a backend that was removed leads nowhere, like any unknown name. */
  #withoutLink(backend: BackendName): VmcpError {
    return this.#links.wasRemoved(backend)
      ? new VmcpError("capability_not_found", "What is asked for is no longer offered: list again")
      : new VmcpError("no_backend_connection", `Backend "${backend}" has no connection here`);
  }

  #createLink(backend: SessionBackend): BackendLink {
    const { id, client, now, logger } = this.#options;
    return new BackendLink({
      backend,
      request: {
        sessionId: id,
        identity: this.#identity,
        currentIdentity: () => this.#identity,
        client,
      },
      slots: [
        this.#options.sessionSlots,
        this.#options.backendSlots.of(backend.name),
        this.#options.processSlots,
      ],
      guard: this.#options.guardOf(backend.name),
      policy: backend.policy ?? NO_LINK_POLICY,
      startTimeoutMs: this.#options.startTimeoutMs,
      closeDeadlineMs: this.#options.drainDeadlineMs,
      now,
      logger,
      knownCapabilities: () => this.#lists.known(backend.name),
      onReady: (link, capabilities, isFirst) => this.#linkReady(link, capabilities, isFirst),
      onUnsolicited: (link, message) => this.#messages.unsolicited(link, message),
      onLeave: (connection) => this.#clientRequests.leave(connection),
    });
  }

  #linkReady(link: BackendLink, fetched: CapabilitySet, isFirst: boolean): void {
    // A call that lost its connection to a backend which is leaving may have connected once more.
    if (!this.#links.isCurrent(link)) return;
    this.#lists.offerAtStart(link.name, fetched, link.connection?.greeting);
    this.#renewed.renew(link);
    if (!isFirst && link.connection !== undefined) {
      renewRoots(link.connection, this.client.capabilities);
    }
    if (this.#outbox.isOpen) link.connection?.openNotifications();
  }

  /** What a backend will say that is about to connect, as far as that is known. */
  #expectedGreeting({ name, phase }: BackendLink): BackendGreeting | undefined {
    const isExpected = phase === "connecting" || phase === "resting";
    return isExpected ? this.#lists.greetingOf(name) : undefined;
  }

  #taskListers(): readonly BackendConnection[] {
    return [...this.#links.values()].flatMap(({ connection }) =>
      connection !== undefined && canListTasks(connection) ? [connection] : [],
    );
  }

  #listsChanged(backend: BackendName): void {
    this.#lists.invalidate(backend);
    this.#relisting.request(backend);
  }

  async #relist(backend: BackendName, signal: AbortSignal): Promise<void> {
    const connection = this.#links.get(backend)?.connection;
    if (connection === undefined) return;
    const fetched = await connection.listCapabilities(signal);
    // Meanwhile a reload may have given the name to another backend, or the connection been lost.
    const isCurrent = this.#links.get(backend)?.connection === connection;
    if (isCurrent && !signal.aborted) this.#lists.offerChanged(backend, fetched);
  }

  #listsReplaced({ before, after, lists, isReconfigured }: ListChange): void {
    this.#routes.viewChanged(
      before,
      after,
      // What the configuration hides now was named before it did; what it only renames stays callable.
      (route) => this.#lists.isOffered(route) && (!isReconfigured || after.isAdvertised(route)),
    );
    for (const name of lists) this.#outbox.listChanged(LIST_CHANGED[name]);
  }
}

function sessionClosed(): VmcpError {
  return new VmcpError("session_closed", "The session was closed; open a new one", {
    executionState: "unknown",
  });
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
