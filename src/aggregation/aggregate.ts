import type { Advertised, RoutingTable } from "../domain/routing-table.ts";
import { hintsIn } from "../domain/tool-hints.ts";
import { toAdvertisedJson } from "./advertised-json.ts";
import type { BackendCapabilities, NamedCandidate } from "./candidate.ts";
import { collect, compareText } from "./collect.ts";
import type { Finding } from "./finding.ts";
import { keepFirst } from "./keep-first.ts";
import { resolverFor } from "./resolvers/resolver-for.ts";
import type { AggregationSettings } from "./settings.ts";
import { findUnusedRules } from "./unused-rules.ts";
import { removeHidden, toolVisibility, visibilityBy } from "./visibility.ts";
import { takeWithheld, type WithheldCapability } from "./withheld.ts";

export type { BackendCapabilities } from "./candidate.ts";

/** What clients see of all backends together, and where each name leads. */
export interface Aggregate {
  readonly table: RoutingTable;
  readonly tools: readonly Advertised[];
  readonly prompts: readonly Advertised[];
  readonly resources: readonly Advertised[];
  readonly resourceTemplates: readonly Advertised[];
  /** What would be advertised too if its source did not say that it is withheld. */
  readonly withheld: readonly WithheldCapability[];
  /** Sorted by backend, original name and kind. */
  readonly findings: readonly Finding[];
}

/**
 * Makes one list and one routing table of what the backends offer: overrides, conflicts, then filters.
 *
 * Pure: equal sources in any order give an equal result. Lists are ordered by backend name, within a backend
 * as it lists them. Whatever is not advertised has a finding; nothing a backend lists makes it throw.
 * Conflicts are settled before filters, so that filtering never changes the name of what stays.
 */
export function aggregate(
  sources: readonly BackendCapabilities[],
  settings: AggregationSettings,
): Aggregate {
  const collected = collect(sources, settings);
  const resolve = resolverFor(settings.strategy);
  const showsResource = visibilityBy(settings.resources);
  const tools = removeHidden(resolve(collected.tools, settings), toolVisibility(settings));
  const prompts = removeHidden(
    resolve(collected.prompts, settings),
    visibilityBy(settings.prompts),
  );
  const resources = removeHidden(keepFirst(collected.resources), showsResource);
  const templates = removeHidden(keepFirst(collected.resourceTemplates), showsResource);

  const byBackend = new Map(
    sources.flatMap(({ backend, withheld }) =>
      withheld === undefined ? [] : [[backend, withheld]],
    ),
  );
  const lists = {
    tools: takeWithheld(tools.kept, byBackend),
    prompts: takeWithheld(prompts.kept, byBackend),
    resources: takeWithheld(resources.kept, byBackend),
    resourceTemplates: takeWithheld(templates.kept, byBackend),
  };
  const byUri = [...collected.resources, ...collected.resourceTemplates];
  const findings = [
    ...collected.findings,
    ...[tools, prompts, resources, templates].flatMap((resolution) => resolution.findings),
    ...Object.values(lists).flatMap((list) => list.findings),
    ...findUnusedRules(sources, "tool", collected.tools, settings.tools),
    ...findUnusedRules(sources, "prompt", collected.prompts, settings.prompts),
    ...findUnusedRules(sources, "resource", byUri, settings.resources),
  ];
  return assemble(
    {
      tools: lists.tools.kept.map(advertise),
      prompts: lists.prompts.kept.map(advertise),
      resources: lists.resources.kept.map(advertise),
      resourceTemplates: lists.resourceTemplates.kept.map(advertise),
      withheld: Object.values(lists).flatMap((list) => list.withheld),
    },
    findings,
  );
}

function assemble(
  lists: Omit<Aggregate, "table" | "findings">,
  findings: readonly Finding[],
): Aggregate {
  const table = {
    tools: routesByName(lists.tools),
    prompts: routesByName(lists.prompts),
    resources: routesByName(lists.resources),
    resourceTemplates: lists.resourceTemplates.map(({ route }) => route),
  };
  return { table, ...lists, findings: findings.toSorted(compareFindings) };
}

function advertise(named: NamedCandidate): Advertised {
  const { candidate, advertisedName } = named;
  const { kind, key, value } = candidate.capability;
  const hints =
    kind === "tool" ? hintsIn(value["annotations"], candidate.override?.annotations) : undefined;
  return {
    route: {
      kind,
      backend: candidate.backend,
      originalName: key,
      advertisedName,
      ...(hints !== undefined && { hints }),
    },
    json: toAdvertisedJson(named),
  };
}

function routesByName(advertised: readonly Advertised[]): RoutingTable["tools"] {
  return new Map(advertised.map(({ route }) => [route.advertisedName, route]));
}

function compareFindings(a: Finding, b: Finding): number {
  return (
    compareText(a.backend, b.backend) ||
    compareText(a.originalName, b.originalName) ||
    compareText(a.capability, b.capability) ||
    compareText(a.kind, b.kind)
  );
}
