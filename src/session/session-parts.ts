import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { Identity } from "../domain/identity.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { LateMap } from "../lib/late-map.ts";
import { Semaphore } from "../lib/semaphore.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import type {
  BackendConnection,
  ClientProfile,
  ConnectionListener,
  ConnectRequest,
  SessionBackend,
} from "./backend-connection.ts";
import { BackendLink, type LinkHost } from "./backend-link.ts";
import { BackendMessages, LIST_CHANGED, type BackendMessagesHost } from "./backend-messages.ts";
import type { Call } from "./call.ts";
import type { Catalogues } from "./catalogues.ts";
import type { NotifiedSession } from "./client-notifications.ts";
import { ClientRequests, type ClientRequestsHost } from "./client-requests.ts";
import type {
  LiveSessionOptions,
  SessionConfiguration,
  SessionSurroundings,
} from "./live-session-options.ts";
import { Outbox } from "./outbox.ts";
import { Relisting } from "./relisting.ts";
import { RenewedRequests } from "./renewed-requests.ts";
import { renewRoots } from "./renewed-roots.ts";
import { SessionLinks, type SessionLinksHost } from "./session-links.ts";
import { SessionLists, type ListChange, type SessionListsHost } from "./session-lists.ts";
import { resourceAt, SessionRoutes } from "./session-routes.ts";

/**
 * The parts of one live session, introduced to each other. It is the one host of them all, and makes what an idle
 * session does without when it is first needed: a gateway holds many sessions, and most of them wait.
 */
export class SessionParts
  implements
    LinkHost,
    SessionLinksHost,
    SessionListsHost,
    BackendMessagesHost,
    NotifiedSession,
    ClientRequestsHost
{
  readonly id: SessionId;
  readonly client: ClientProfile;
  readonly around: SessionSurroundings;
  readonly clientKind: string;
  readonly inFlight = new LateMap<RequestId, Call>();
  readonly outbox = new Outbox();
  readonly lists: SessionLists;
  readonly links: SessionLinks;
  /** Who has sent the latest request. */
  identity: Identity;
  #configuration: SessionConfiguration;
  #routes: SessionRoutes | undefined;
  #renewed: RenewedRequests | undefined;
  #relisting: Relisting | undefined;
  #messages: BackendMessages | undefined;
  #clientRequests: ClientRequests | undefined;
  #startSlots: Semaphore | undefined;

  constructor({ id, client, clientKind, identity, configuration, around }: LiveSessionOptions) {
    this.id = id;
    this.client = client;
    this.around = around;
    this.clientKind = clientKind;
    this.identity = identity;
    this.#configuration = configuration;
    this.lists = new SessionLists(this, configuration);
    this.links = new SessionLinks(this, configuration.backends);
  }

  get configuration(): SessionConfiguration {
    return this.#configuration;
  }

  get routes(): SessionRoutes {
    this.#routes ??= new SessionRoutes();
    return this.#routes;
  }

  get renewed(): RenewedRequests {
    this.#renewed ??= new RenewedRequests(this);
    return this.#renewed;
  }

  get messages(): BackendMessages {
    this.#messages ??= new BackendMessages(this);
    return this.#messages;
  }

  get clientRequests(): ClientRequests {
    this.#clientRequests ??= new ClientRequests(this);
    return this.#clientRequests;
  }

  get isBusy(): boolean {
    const { inFlight, outbox, questions } = this;
    return inFlight.size > 0 || outbox.isOpen || questions > 0;
  }

  /** How many answers backends wait for that the client has not given. */
  get questions(): number {
    return this.#clientRequests?.pendingCount ?? 0;
  }

  get logger(): Logger {
    return this.around.logger;
  }

  get catalogues(): Catalogues {
    return this.around.catalogues;
  }

  get startTimeoutMs(): number {
    return this.#configuration.startTimeoutMs;
  }

  get closeDeadlineMs(): number {
    return this.#configuration.drainDeadlineMs;
  }

  get logLevel(): string | undefined {
    return this.#renewed?.logLevel;
  }

  now(): number {
    return this.around.now();
  }

  /**
   * Takes another configuration at once. The links of backends that are gone are closed as `SessionLinks` says;
   * resolves when that is done.
   */
  async reconfigure(next: SessionConfiguration): Promise<void> {
    this.#configuration = next;
    const departed = this.links.replace(next.backends, next.drainDeadlineMs);
    const added = [...this.links.values()].filter(({ phase }) => phase === "idle");
    this.lists.reconfigure(next);
    for (const link of added) void link.connect();
    await departed;
  }

  /** What asks of its own accord stops doing so. */
  quiet(): void {
    this.lists.close();
    this.#relisting?.close();
  }

  /** Nobody is there any more to hear or to answer anything; then every link is closed. */
  close(): Promise<void> {
    this.#clientRequests?.close();
    this.outbox.close();
    return this.links[Symbol.asyncDispose]();
  }

  /** The calls in flight on a link, oldest first. */
  callsOn(link: BackendLink): readonly Call[] {
    return [...this.inFlight.values()].filter((call) => call.link === link);
  }

  createLink(backend: SessionBackend): BackendLink {
    return new BackendLink({ backend, guard: this.around.guardOf(backend.name), host: this });
  }

  connectRequest(listener: ConnectionListener, known: CapabilitySet | undefined): ConnectRequest {
    const { id: sessionId, identity, client } = this;
    const currentIdentity = (): Identity => this.identity;
    return { sessionId, identity, currentIdentity, client, listener, knownCapabilities: known };
  }

  slotsFor(backend: BackendName): readonly Semaphore[] {
    const { backendSlots, processSlots } = this.around;
    this.#startSlots ??= new Semaphore(this.#configuration.maxStartConcurrency);
    return [this.#startSlots, backendSlots.of(backend), processSlots];
  }

  knownCapabilities(backend: BackendName): CapabilitySet | undefined {
    return this.lists.known(backend);
  }

  onReady(link: BackendLink, fetched: CapabilitySet, isFirst: boolean): void {
    // A call that lost its connection to a backend which is leaving may have connected once more.
    if (!this.links.isCurrent(link)) return;
    this.lists.offerAtStart(link.name, fetched, link.connection?.greeting);
    this.#renewed?.renew(link);
    if (!isFirst && link.connection !== undefined) {
      renewRoots(link.connection, this.client.capabilities);
    }
    if (this.outbox.isOpen) link.connection?.openNotifications();
  }

  onUnsolicited(link: BackendLink, message: BackendMessage): void {
    this.messages.unsolicited(link, message);
  }

  onLeave(connection: BackendConnection): void {
    this.#clientRequests?.leave(connection);
  }

  offeredBy(backend: BackendName): CapabilitySet | undefined {
    return this.links.get(backend)?.offered;
  }

  noteOffer(backend: BackendName, capabilities: CapabilitySet): void {
    const link = this.links.get(backend);
    if (link !== undefined) link.offered = capabilities;
  }

  /** What a backend will say that is about to connect, as far as that is known. */
  expectedGreeting({ name, phase }: BackendLink): BackendGreeting | undefined {
    const isExpected = phase === "connecting" || phase === "resting";
    return isExpected ? this.lists.greetingOf(name) : undefined;
  }

  maySee(uri: string, backend: BackendName): boolean {
    const { policy } = this.#configuration.admission;
    if (policy.admitsAll) return true;
    return policy.judge(this.identity, resourceAt(uri, backend)).kind !== "denied";
  }

  onListsChanged(backend: BackendName): void {
    this.lists.invalidate(backend);
    this.relist(backend);
  }

  /** Asks the backend for its lists again, soon. */
  relist(backend: BackendName): void {
    this.#relisting ??= new Relisting(async (name, signal) => this.#relist(name, signal));
    this.#relisting.request(backend);
  }

  listsReplaced({ before, after, lists, isReconfigured }: ListChange): void {
    this.routes.viewChanged(
      before,
      after,
      // What the configuration hides now was named before it did; what it only renames stays callable.
      (route) => this.lists.isOffered(route) && (!isReconfigured || after.isAdvertised(route)),
    );
    for (const name of lists) this.outbox.listChanged(LIST_CHANGED[name]);
  }

  answerTimeoutMs(): number {
    return this.#configuration.clientAnswerTimeoutMs;
  }

  tellClient(message: Buffer): void {
    this.outbox.send(message);
  }

  forBackend(backend: BackendName, answer: Buffer): Buffer {
    return this.#routes?.tasks.forBackend(backend, answer, undefined) ?? answer;
  }

  async #relist(backend: BackendName, signal: AbortSignal): Promise<void> {
    const connection = this.links.get(backend)?.connection;
    if (connection === undefined) return;
    const fetched = await connection.listCapabilities(signal);
    // Meanwhile a reload may have given the name to another backend, or the connection been lost.
    const isCurrent = this.links.get(backend)?.connection === connection;
    if (isCurrent && !signal.aborted) this.lists.offerChanged(backend, fetched);
  }
}
