import { VmcpError } from "../domain/errors.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import { subjectOf, type Identity } from "../domain/identity.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { AnswerSink, BackendMessage, Exchange, OutboundRequest } from "../mcp/exchange.ts";
import type {
  InboundNotification,
  InboundRequest,
  InboundResponse,
} from "../mcp/inbound-message.ts";
import { joined, type MessageBytes } from "../mcp/message-bytes.ts";
import { progressTokenOf } from "../mcp/meta.ts";
import { admit } from "./admission.ts";
import { AdmissionGate } from "./admission-gate.ts";
import { toAdvertisedCapability } from "./advertised-capability.ts";
import type { BackendConnection, ClientProfile } from "./backend-connection.ts";
import { Call, type CallHost } from "./call.ts";
import { takeNotification } from "./client-notifications.ts";
import type {
  AttachedStream,
  BackendStanding,
  CacheHint,
  ClientStream,
  EdgeSession,
} from "./edge-session.ts";
import { introduced } from "./introduced.ts";
import type { LiveSessionOptions, SessionConfiguration } from "./live-session-options.ts";
import { answerWithFault } from "./local-answer.ts";
import { isRepeatableCall } from "./repeatable-call.ts";
import type {
  AdvertisedCapability,
  CallOptions,
  PromptResult,
  ReadResult,
  ToolCallResult,
} from "./session.ts";
import { SessionCaller } from "./session-caller.ts";
import { SessionParts } from "./session-parts.ts";
import type { StartPatience } from "./start-wait.ts";
import { canListTasks, mergeTaskLists } from "./task-lists.ts";
import type { ListName } from "./view.ts";

/**
 * The live half of one client's session: its links to every backend, and what of them the client sees.
 *
 * Its lists are resolved over what every configured backend last offered, so that names do not depend on
 * which backend answered first. Once begun, every change of a list is told to the client.
 */
export class LiveSession implements EdgeSession, CallHost {
  readonly createdAtMs: number;
  readonly #parts: SessionParts;
  readonly #number: number;
  readonly #gate = new AdmissionGate();
  #caller: SessionCaller | undefined;
  #lastUsedAtMs: number;
  #isUnused = true;
  #endsWith: VmcpError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LiveSessionOptions) {
    this.#number = options.number;
    this.createdAtMs = options.around.now();
    this.#lastUsedAtMs = this.createdAtMs;
    this.#parts = new SessionParts(options);
  }

  get id(): SessionId {
    return this.#parts.id;
  }

  get client(): ClientProfile {
    return this.#parts.client;
  }

  get lastUsedAtMs(): number {
    return this.#lastUsedAtMs;
  }

  get isUnused(): boolean {
    return this.#isUnused;
  }

  get isEnding(): boolean {
    return this.#closing !== undefined;
  }

  get isBusy(): boolean {
    return this.#parts.isBusy;
  }

  get metadata(): Readonly<Record<string, string>> {
    const subject = subjectOf(this.identity);
    const connected: string[] = [];
    for (const { phase, name } of this.#parts.links.values()) {
      if (phase === "ready") connected.push(name);
    }
    connected.sort();
    // Members that are set one by one: V8 gives each object made of spread ones a shape of its own, which weighs more.
    const metadata: Record<string, string> = {};
    if (subject !== undefined) metadata["vmcp.identity.subject"] = subject;
    if (connected.length > 0) metadata["vmcp.backend.ids"] = connected.join(",");
    return Object.freeze(metadata);
  }

  get tools(): readonly AdvertisedCapability[] {
    return this.#parts.lists.shown().aggregate.tools.map(toAdvertisedCapability);
  }

  get prompts(): readonly AdvertisedCapability[] {
    return this.#parts.lists.shown().aggregate.prompts.map(toAdvertisedCapability);
  }

  get resources(): readonly AdvertisedCapability[] {
    return this.#parts.lists.shown().aggregate.resources.map(toAdvertisedCapability);
  }

  get identity(): Identity {
    return this.#parts.identity;
  }

  identify(identity: Identity): void {
    this.#parts.identity = identity;
  }

  touch(): void {
    this.#lastUsedAtMs = this.#parts.now();
  }

  /**
   * Connects to every backend; resolves when each attempt has ended, or has been waited for long enough. The session can
   * start without a backend of which others like this client know what it says and offers, so that it can be told
   * without asking, and without one that keeps failing.
   */
  connect(patience: StartPatience = {}): Promise<void> {
    return this.#parts.links.connect(
      (link) => link.isDoubtful || this.#parts.lists.greetingOf(link.name) !== undefined,
      patience,
    );
  }

  /** Whether any backend is connected, or one that is about to be is known well enough to be told of. */
  get hasBackend(): boolean {
    for (const link of this.#parts.links.values()) {
      if (link.phase === "ready" || this.#parts.expectedGreeting(link) !== undefined) return true;
    }
    return false;
  }

  /** From now on the client is told when a list changes; until now it had none. */
  begin(): void {
    this.#parts.lists.begin();
  }

  forward(request: InboundRequest, sink: AnswerSink): Exchange {
    const { id, method, params } = request;
    const { inFlight, routes, lists, links, around, configuration, identity } = this.#parts;
    this.#noteUse();
    if (inFlight.has(id)) {
      throw new VmcpError("invalid_request", "A request with this id is already in flight");
    }
    // A call that waits for an answer of the client takes no place.
    if (inFlight.size - this.#parts.questions >= configuration.maxCallsInFlight) {
      throw new VmcpError(
        "overloaded",
        `The session has ${configuration.maxCallsInFlight} calls in flight; wait for one to end`,
        { retryAfterSeconds: 1 },
      );
    }
    const taskLists = method === "tasks/list" ? this.#taskListers() : [];
    if (taskLists.length > 1) {
      return mergeTaskLists(taskLists, request, sink, routes.tasks);
    }
    const { backend, bytes, tool, used } = routes.target(lists.current(), request, () =>
      this.backends(),
    );
    admit(configuration.admission, identity, request, used);
    const link = links.get(backend);
    if (link === undefined) throw this.#withoutLink(backend);
    const fault = tool && configuration.argumentCheck.faultOf(request, tool, lists);
    if (fault !== undefined) return answerWithFault(request, fault, sink);
    if (!this.#gate.enter()) throw this.#refusal();
    try {
      around.callLimits.enter(backend);
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
      ...(request.envelope !== undefined && { envelope: request.envelope }),
    };
    const call = new Call(this, link, outbound, sink);
    inFlight.set(id, call);
    call.start();
    return call;
  }

  serverIdOf(request: InboundRequest): string | undefined {
    const { routes, lists, links } = this.#parts;
    const { backend } = routes.target(lists.current(), request, () => this.backends());
    return links.get(backend)?.serverId;
  }

  list(name: ListName, cursor?: JsonValue): Buffer {
    this.#noteUse();
    for (const backend of this.#parts.lists.outlived()) this.#parts.relist(backend);
    const pages = this.#parts.lists.shown().lists[name];
    if (cursor === undefined) return pages.first;
    const page = typeof cursor === "string" ? pages.at(cursor) : undefined;
    if (page !== undefined) return page;
    throw new VmcpError(
      "invalid_params",
      "The cursor is not of this list: list again from its start",
    );
  }

  toolDefinition(name: string): JsonObject | undefined {
    return this.#parts.lists.definitionOf(name);
  }

  cacheHint(): CacheHint {
    return this.#parts.lists.cacheHint();
  }

  notify(notification: InboundNotification): void {
    this.touch();
    takeNotification(this.#parts, notification);
  }

  answer(response: InboundResponse): void {
    this.touch();
    if (!this.#parts.clientRequests.answer(response)) {
      this.#parts.logger.debug("answer of a client that nobody waits for was dropped");
    }
  }

  setLogLevel(level: string): void {
    this.#noteUse();
    this.#parts.renewed.setLogLevel(level, this.#parts.links.values());
  }

  attachStream(stream: ClientStream): AttachedStream {
    if (this.#closing !== undefined) throw this.#refusal();
    const attached = this.#parts.outbox.attach(stream);
    this.#noteUse();
    for (const link of this.#parts.links.values()) link.connection?.openNotifications();
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
    return [...this.#parts.links.values()].map((link) => ({
      name: link.name,
      phase: link.phase,
      greeting: introduced(link, this.#parts.expectedGreeting(link), this.#parts.configuration),
      failure: link.failure,
    }));
  }

  retry(backend: BackendName): void {
    const link = this.#parts.links.get(backend);
    if (link?.phase === "failed") void link.connect();
  }

  async callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult> {
    return this.#calls.callTool(name, args, options);
  }

  async readResource(uri: string, options?: CallOptions): Promise<ReadResult> {
    return this.#calls.readResource(uri, options);
  }

  async getPrompt(name: string, args: JsonObject, options?: CallOptions): Promise<PromptResult> {
    return this.#calls.getPrompt(name, args, options);
  }

  close(reason?: VmcpError): Promise<void> {
    if (this.#closing === undefined) {
      this.#endsWith = reason;
      this.#closing = this.#close();
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  admitEvent(call: Call, event: BackendMessage): BackendMessage | undefined {
    return this.#parts.messages.admit(call, event);
  }

  answered(call: Call, answer: BackendMessage): BackendMessage {
    const { method, bytes, toolName } = call.request;
    const { message } = answer;
    const { routes } = this.#parts;
    routes.noteResult(call.link.name, call.request, message.result);
    if (method === "resources/subscribe" && message.result !== undefined) {
      this.#parts.renewed.subscribed(uriIn(bytes), call.link.name);
      call.connection?.openNotifications();
    }
    if (method === "resources/unsubscribe") this.#parts.renewed.unsubscribed(uriIn(bytes));
    return routes.tasks.answerForClient(call.link.name, method, answer, toolName);
  }

  isRepeatable(call: Call): boolean {
    return isRepeatableCall(call.request, this.#parts.lists.offered(call.link.name));
  }

  ended(call: Call): void {
    const { inFlight, links, around } = this.#parts;
    inFlight.delete(call.request.id);
    this.#lastUsedAtMs = around.now();
    around.callLimits.leave(call.link.name);
    this.#gate.leave();
    links.callEnded(call.link);
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
    await this.#parts.reconfigure(next);
  }

  get #calls(): SessionCaller {
    this.#caller ??= new SessionCaller((request, sink) => this.forward(request, sink));
    return this.#caller;
  }

  #noteUse(): void {
    this.#isUnused = false;
    this.#lastUsedAtMs = this.#parts.now();
  }

  /** What comes too late was not sent anywhere. */
  #refusal(): VmcpError {
    const { code, message } = this.#endsWith ?? sessionClosed();
    return new VmcpError(code, message, { executionState: "not_executed" });
  }

  async #close(): Promise<void> {
    const { closeDeadlineMs, inFlight, around } = this.#parts;
    this.#parts.quiet();
    // Awaited even where nothing is in flight: whoever is told of the end meanwhile must find the session closing.
    const hasDrained = await (this.#gate.close() || this.#gate.drained(closeDeadlineMs));
    if (!hasDrained) {
      // Made only where somebody hears of it: most sessions end without a call under way.
      const reason = this.#endsWith ?? sessionClosed();
      for (const call of inFlight.values()) call.abort(reason);
    }
    try {
      await this.#parts.close();
    } finally {
      around.onClosed?.(this.#number);
    }
  }

  /** What a session remembers of a backend that was removed leads nowhere, like any unknown name. */
  #withoutLink(backend: BackendName): VmcpError {
    return this.#parts.links.wasRemoved(backend)
      ? new VmcpError("capability_not_found", "What is asked for is no longer offered: list again")
      : new VmcpError("no_backend_connection", `Backend "${backend}" has no connection here`);
  }

  #taskListers(): readonly BackendConnection[] {
    return [...this.#parts.links.values()].flatMap(({ connection }) =>
      connection !== undefined && canListTasks(connection) ? [connection] : [],
    );
  }
}

function sessionClosed(): VmcpError {
  return new VmcpError("session_closed", "The session was closed; open a new one", {
    executionState: "unknown",
  });
}

function uriIn(bytes: MessageBytes): string {
  // The request was routed by this very member, so it is there and a string.
  const { params } = JSON.parse(joined(bytes).toString()) as { params: { uri: string } };
  return params.uri;
}
