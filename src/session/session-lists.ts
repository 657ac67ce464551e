import type { BackendCapabilities } from "../aggregation/aggregate.ts";
import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import type { ToolSource } from "./argument-check.ts";
import type { Catalogues } from "./catalogues.ts";
import { LIST_NAMES, type ListName, type View, type Views } from "./view.ts";

export interface SessionListsOptions {
  /** Every configured backend, in the order of the configuration. */
  readonly backends: readonly BackendName[];
  readonly catalogues: Catalogues;
  readonly views: Pick<Views, "of">;
  /** See `clientKindOf`. */
  readonly clientKind: string;
  /** Told once per change, a moment after it, when the client is to hear of it. */
  readonly onChanged: (change: ListChange) => void;
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
  #options: SessionListsOptions;
  readonly #offered = new Map<BackendName, CapabilitySet>();
  #view: View | undefined;
  #announced: View | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SessionListsOptions) {
    this.#options = options;
  }

  current(): View {
    this.#view ??= this.#options.views.of(this.#sources());
    return this.#view;
  }

  /** What the client has been told up to now is what it sees now: from here on changes are reported. */
  begin(): void {
    this.#announced = this.current();
  }

  /**
   * From now on these backends are seen, as `views` shows them; what the session itself was offered by a backend
   * that is gone or `replaced` counts no more. Reported at once, because calls are routed by it at once.
   */
  reconfigure(
    backends: readonly BackendName[],
    views: Pick<Views, "of">,
    replaced: ReadonlySet<BackendName>,
  ): void {
    const kept = new Set(backends.filter((name) => !replaced.has(name)));
    for (const name of this.#offered.keys()) if (!kept.has(name)) this.#offered.delete(name);
    this.#options = { ...this.#options, backends, views };
    this.#view = undefined;
    this.#announce(true);
  }

  /** A fresh connection of this session was offered these lists. */
  offerAtStart(
    backend: BackendName,
    fetched: CapabilitySet,
    greeting: BackendGreeting | undefined,
  ): void {
    const { catalogues, clientKind } = this.#options;
    this.#offer(backend, catalogues.remember(backend, clientKind, fetched, greeting));
  }

  /** The backend changed its lists for this session, which says nothing of what it offers another. */
  offerChanged(backend: BackendName, fetched: CapabilitySet): void {
    this.#offer(backend, this.#options.catalogues.intern(backend, fetched));
  }

  /** The lists of this backend are no longer what a new session would be offered. */
  invalidate(backend: BackendName): void {
    this.#options.catalogues.invalidate(backend);
  }

  /** How a backend that has not answered this session yet introduced itself to others like it. */
  greetingOf(backend: BackendName): BackendGreeting | undefined {
    return this.#options.catalogues.greetingOf(backend, this.#options.clientKind);
  }

  known(backend: BackendName): CapabilitySet | undefined {
    return this.#options.catalogues.fresh(backend, this.#options.clientKind);
  }

  /** What the session's own connection to the backend was offered last; undefined before the first. */
  offered(backend: BackendName): CapabilitySet | undefined {
    return this.#offered.get(backend);
  }

  /** The definition of the tool that a route leads to. Where the session was offered none, the last one known. */
  toolOf({ backend, originalName }: Route): JsonObject | undefined {
    const { catalogues, clientKind } = this.#options;
    const capabilities = this.#offered.get(backend) ?? catalogues.lastKnown(backend, clientKind);
    return capabilities?.tools.find(({ key }) => key === originalName)?.value;
  }

  /** Whether the backend itself still has what a route leads to. */
  isOffered({ backend, kind, originalName }: Route): boolean {
    const offered = this.#offered.get(backend);
    const candidates = kind === "tool" ? offered?.tools : offered?.prompts;
    return candidates?.some(({ key }) => key === originalName) === true;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #offer(backend: BackendName, capabilities: CapabilitySet): void {
    this.#offered.set(backend, capabilities);
    this.#view = undefined;
    if (this.#announced === undefined || this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#announce(false);
    }, ANNOUNCE_DELAY_MS);
  }

  #announce(isReconfigured: boolean): void {
    const before = this.#announced;
    const after = this.current();
    if (before === undefined || before === after) return;
    this.#announced = after;
    const lists = LIST_NAMES.filter((name) => before.lists[name].hash !== after.lists[name].hash);
    this.#options.onChanged({ before, after, lists, isReconfigured });
  }

  #sources(): readonly BackendCapabilities[] {
    const { backends, catalogues, clientKind } = this.#options;
    return backends.flatMap((backend) => {
      const capabilities = this.#offered.get(backend) ?? catalogues.lastKnown(backend, clientKind);
      return capabilities === undefined ? [] : [{ backend, capabilities }];
    });
  }
}
