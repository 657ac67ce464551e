import type { BackendCapabilities } from "../aggregation/aggregate.ts";
import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import type { ToolSource } from "./argument-check.ts";
import { freshMsOf, type Catalogues } from "./catalogues.ts";
import type { CacheHint } from "./edge-session.ts";
import type { SessionConfiguration } from "./live-session-options.ts";
import type { Shown } from "./shown-capabilities.ts";
import { LIST_NAMES, type ListName, type View } from "./view.ts";

/** What of a configuration decides which lists a session has. */
type ListsConfiguration = Pick<SessionConfiguration, "backends" | "views" | "shown">;

/** The session whose lists these are. */
export interface SessionListsHost {
  readonly catalogues: Catalogues;
  /** Who the client is now. */
  readonly identity: Identity;
  /** See `clientKindOf`. */
  readonly clientKind: string;
  /** What the session's own connection to the backend was offered last; undefined before the first. */
  offeredBy(backend: BackendName): CapabilitySet | undefined;
  /** Keeps that for as long as the session has this backend. */
  noteOffer(backend: BackendName, capabilities: CapabilitySet): void;
  /** Told once per change, a moment after it, when the client is to hear of it. */
  listsReplaced(change: ListChange): void;
}

export interface ListChange {
  readonly before: View;
  readonly after: View;
  readonly lists: readonly ListName[];
  /** The configuration changed, and not only what backends offer. */
  readonly isReconfigured: boolean;
}

/** Several backends often change at once: the client is told of them together. */
const ANNOUNCE_DELAY_MS = 20;

/**
 * What one session's client sees: the lists of every configured backend, as last known.
 *
 * A backend that is away keeps its last known lists, so that names do not depend on which backend answered
 * first. Once begun, every change is reported.
 */
export class SessionLists implements ToolSource {
  readonly #host: SessionListsHost;
  #configuration: ListsConfiguration;
  /** Until when lists are good whose backend says so, in monotonic milliseconds. */
  #goodUntilMs: Map<BackendName, number> | undefined;
  #view: View | undefined;
  #announced: View | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(host: SessionListsHost, configuration: ListsConfiguration) {
    this.#host = host;
    this.#configuration = configuration;
  }

  current(): View {
    this.#view ??= this.#configuration.views.of(this.#sources());
    return this.#view;
  }

  /** What of the current view the client sees. */
  shown(): Shown {
    return this.#shownOf(this.current());
  }

  /** What the client has been told up to now is what it sees now: from here on changes are reported. */
  begin(): void {
    this.#announced = this.current();
  }

  /**
   * From now on these backends are seen, as `views` and `shown` show them; the host must have forgotten by then what
   * was offered by a backend that is gone or replaced. Reported at once, because calls are routed by it at once.
   */
  reconfigure(next: ListsConfiguration): void {
    const seen = this.#announced && this.#shownOf(this.#announced);
    for (const name of this.#goodUntilMs?.keys() ?? []) {
      if (this.offered(name) === undefined) this.#goodUntilMs?.delete(name);
    }
    this.#configuration = next;
    this.#view = undefined;
    this.#announce(true, seen);
  }

  /** A fresh connection of this session was offered these lists. */
  offerAtStart(
    backend: BackendName,
    fetched: CapabilitySet,
    greeting: BackendGreeting | undefined,
  ): void {
    const { catalogues, clientKind } = this.#host;
    this.#offer(backend, catalogues.remember(backend, clientKind, fetched, greeting));
  }

  /** The backend changed its lists for this session, which says nothing of what it offers another. */
  offerChanged(backend: BackendName, fetched: CapabilitySet): void {
    this.#offer(backend, this.#host.catalogues.intern(backend, fetched));
  }

  /** The lists of this backend are no longer what a new session would be offered. */
  invalidate(backend: BackendName): void {
    this.#host.catalogues.invalidate(backend);
  }

  /** How a backend that has not answered this session yet introduced itself to others like it. */
  greetingOf(backend: BackendName): BackendGreeting | undefined {
    return this.#host.catalogues.greetingOf(backend, this.#host.clientKind);
  }

  known(backend: BackendName): CapabilitySet | undefined {
    return this.#host.catalogues.fresh(backend, this.#host.clientKind);
  }

  /** What the session's own connection to the backend was offered last; undefined before the first. */
  offered(backend: BackendName): CapabilitySet | undefined {
    return this.#host.offeredBy(backend);
  }

  /** The definition of the tool that a route leads to. Where the session was offered none, the last one known. */
  toolOf({ backend, originalName }: Route): JsonObject | undefined {
    return this.#lastOf(backend)?.tools.find(({ key }) => key === originalName)?.value;
  }

  /** The definition of the tool of that advertised name; undefined for one that the client does not see. */
  definitionOf(name: string): JsonObject | undefined {
    const view = this.current();
    const route = view.aggregate.table.tools.get(name);
    const shown = this.#shownOf(view);
    const isSeen =
      shown === view || shown.aggregate.tools.some((tool) => tool.route.advertisedName === name);
    return isSeen && route !== undefined ? this.toolOf(route) : undefined;
  }

  /** How long the lists are good as they are, by what all backends say of theirs; one that says nothing says 0. */
  cacheHint(): CacheHint {
    const nowMs = performance.now();
    const { backends } = this.#configuration;
    const left = backends.map(({ name }) => (this.#goodUntilMs?.get(name) ?? nowMs) - nowMs);
    const said = backends.map(({ name }) => this.offered(name));
    const ttls = said.map((capabilities, index) =>
      Math.min(capabilities?.ttlMs ?? 0, left[index] ?? 0),
    );
    const isPublic =
      this.#host.identity.kind === "anonymous" &&
      said.every((capabilities) => capabilities?.cacheScope === "public");
    const shortest = ttls.length === 0 ? 0 : Math.min(...ttls);
    return {
      ttlMs: Math.max(0, Math.floor(shortest)),
      cacheScope: isPublic ? "public" : "private",
    };
  }

  /** Whether the backend itself still has what a route leads to. */
  isOffered({ backend, kind, originalName }: Route): boolean {
    const offered = this.offered(backend);
    const candidates = kind === "tool" ? offered?.tools : offered?.prompts;
    return candidates?.some(({ key }) => key === originalName) === true;
  }

  /** Backends that said how long their lists are good, and that should be asked again by now. */
  outlived(): readonly BackendName[] {
    if (this.#goodUntilMs === undefined) return [];
    const nowMs = performance.now();
    return [...this.#goodUntilMs].flatMap(([backend, untilMs]) =>
      nowMs > untilMs ? [backend] : [],
    );
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #offer(backend: BackendName, capabilities: CapabilitySet): void {
    this.#host.noteOffer(backend, capabilities);
    this.#goodUntilMs?.delete(backend);
    if (capabilities.ttlMs !== undefined) {
      this.#goodUntilMs ??= new Map();
      this.#goodUntilMs.set(backend, performance.now() + freshMsOf(capabilities));
    }
    this.#view = undefined;
    if (this.#announced === undefined || this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#announce(false);
    }, ANNOUNCE_DELAY_MS);
  }

  #shownOf(view: View): Shown {
    return this.#configuration.shown.of(view, this.#host.identity);
  }

  /** `seen` is what the client saw of the view that it was told of last, where that is no longer to be had. */
  #announce(isReconfigured: boolean, seen?: Shown): void {
    const before = this.#announced;
    const after = this.current();
    if (before === undefined || (before === after && seen === undefined)) return;
    this.#announced = after;
    const [was, is] = [(seen ?? this.#shownOf(before)).lists, this.#shownOf(after).lists];
    const lists = LIST_NAMES.filter((name) => was[name].hash !== is[name].hash);
    this.#host.listsReplaced({ before, after, lists, isReconfigured });
  }

  #sources(): readonly BackendCapabilities[] {
    return this.#configuration.backends.flatMap(({ name: backend }) => {
      const capabilities = this.#lastOf(backend);
      return capabilities === undefined ? [] : [{ backend, capabilities }];
    });
  }

  /** What the session was offered; where it was offered nothing yet, what is known of the backend. */
  #lastOf(backend: BackendName): CapabilitySet | undefined {
    const { catalogues, clientKind } = this.#host;
    return this.offered(backend) ?? catalogues.lastKnown(backend, clientKind);
  }
}
