import { aggregate, type Aggregate, type BackendCapabilities } from "../aggregation/aggregate.ts";
import type { AggregationSettings } from "../aggregation/settings.ts";
import type { Withheld } from "../aggregation/withheld.ts";
import { visibilityBy } from "../aggregation/visibility.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Advertised, Route } from "../domain/routing-table.ts";
import { createRouter, type Router } from "../routing/router.ts";
import { toListPages, type ListPages } from "./list-pages.ts";
import { withheldNames, type WithheldNames } from "./withheld-names.ts";

/** The lists that a client can ask for, by the name of the array in their results. */
export type ListName = "tools" | "prompts" | "resources" | "resourceTemplates";

export const LIST_NAMES: readonly ListName[] = [
  "tools",
  "prompts",
  "resources",
  "resourceTemplates",
];

/** What one set of backend catalogues looks like to a client. Immutable and shared by all sessions that see it. */
export interface View {
  readonly key: string;
  readonly aggregate: Aggregate;
  readonly router: Router;
  /** Each list's results as JSON bytes, prepared once. */
  readonly lists: Readonly<Record<ListName, ListPages>>;
  /** Whether the configuration lets this backend's URI be seen, listed or not. */
  readonly isVisibleUri: (backend: BackendName, uri: string) => boolean;
  /** Whether clients see what a tool's or prompt's route leads to, under whatever name. */
  readonly isAdvertised: (route: Route) => boolean;
  /** Under which name clients see what a tool's or prompt's route leads to; undefined where they do not. */
  readonly currentRoute: (origin: Omit<Route, "advertisedName">) => Route | undefined;
  /** What backends offer and nobody may use for now. */
  readonly withheld: WithheldNames;
}

/** Says what of a backend's lists may not be offered for now; undefined where all of it may. Asked once per view. */
export type WithheldOf = (source: BackendCapabilities) => Withheld | undefined;

/** Views kept for reuse; more kinds of client than this recompute theirs. */
const MAX_VIEWS = 64;

/** Makes views and gives the same one to all who see the same catalogues. */
export class Views {
  readonly #settings: AggregationSettings;
  readonly #withheldOf: WithheldOf;
  readonly #views = new Map<string, View>();
  /** The last one in the map: the next session sees the same as a rule. */
  #latest: View | undefined;

  /** Default: nothing is withheld. */
  constructor(settings: AggregationSettings, withheldOf: WithheldOf = () => undefined) {
    this.#settings = settings;
    this.#withheldOf = withheldOf;
  }

  of(sources: readonly BackendCapabilities[]): View {
    const key = keyOf(sources);
    if (this.#latest?.key === key) return this.#latest;
    const view = this.#views.get(key) ?? createView(key, this.#judged(sources), this.#settings);
    this.#views.delete(key);
    this.#views.set(key, view);
    this.#latest = view;
    const [oldest] = this.#views.keys();
    if (this.#views.size > MAX_VIEWS && oldest !== undefined) this.#views.delete(oldest);
    return view;
  }

  #judged(sources: readonly BackendCapabilities[]): readonly BackendCapabilities[] {
    return sources.map((source) => ({ ...source, withheld: this.#withheldOf(source) }));
  }
}

function keyOf(sources: readonly BackendCapabilities[]): string {
  let key = "";
  for (const { backend, capabilities } of sources) key += `${backend}=${capabilities.hash} `;
  return key;
}

function createView(
  key: string,
  sources: readonly BackendCapabilities[],
  settings: AggregationSettings,
): View {
  const merged = aggregate(sources, settings);
  const reasonToHide = visibilityBy(settings.resources);
  const withheld = withheldNames(merged.withheld);
  const currentRoute = currentRoutesOf(merged);
  return {
    key,
    aggregate: merged,
    router: createRouter(merged.table),
    lists: {
      tools: listResult("tools", merged.tools),
      prompts: listResult("prompts", merged.prompts),
      resources: listResult("resources", merged.resources),
      resourceTemplates: listResult("resourceTemplates", merged.resourceTemplates),
    },
    isVisibleUri: (backend, uri) =>
      reasonToHide({ backend, name: uri }) === undefined && !withheld.covers(backend, uri),
    isAdvertised: (route) => currentRoute(route) !== undefined,
    currentRoute,
    withheld,
  };
}

/** Made at the first question, which few views are asked. */
function currentRoutesOf({ table }: Aggregate): View["currentRoute"] {
  let known: ReadonlyMap<string, Route> | undefined;
  return (origin) => {
    known ??= new Map(
      [...table.tools.values(), ...table.prompts.values()].map((route) => [originOf(route), route]),
    );
    return known.get(originOf(origin));
  };
}

function originOf({ kind, backend, originalName }: Omit<Route, "advertisedName">): string {
  return `${kind} ${backend} ${originalName}`;
}

function listResult(name: ListName, items: readonly Advertised[]): ListPages {
  return toListPages(
    name,
    items.map(({ json }) => json),
  );
}
