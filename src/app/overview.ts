import type { Finding } from "../aggregation/finding.ts";
import type { Aggregate } from "../aggregation/aggregate.ts";
import type { CapabilityKind } from "../domain/capabilities.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Advertised } from "../domain/routing-table.ts";

/** One capability as clients see it, and where it comes from. */
export interface OverviewEntry {
  readonly kind: CapabilityKind;
  /** The advertised name, URI or URI template. */
  readonly name: string;
  readonly backend: string;
  readonly originalName: string;
  /** As it stands in the list, parsed. */
  readonly value: JsonObject;
}

/** What clients see of all backends together, and what became of the rest. */
export interface Overview {
  readonly tools: readonly OverviewEntry[];
  readonly prompts: readonly OverviewEntry[];
  readonly resources: readonly OverviewEntry[];
  readonly resourceTemplates: readonly OverviewEntry[];
  /** What was hidden, renamed or dropped, and settings that match nothing. */
  readonly findings: readonly Finding[];
}

export function toOverview(aggregate: Aggregate): Overview {
  return {
    tools: aggregate.tools.map(toEntry),
    prompts: aggregate.prompts.map(toEntry),
    resources: aggregate.resources.map(toEntry),
    resourceTemplates: aggregate.resourceTemplates.map(toEntry),
    findings: aggregate.findings,
  };
}

function toEntry({ route, json }: Advertised): OverviewEntry {
  const { kind, advertisedName, backend, originalName } = route;
  // The text was made from an item that a backend listed as an object.
  const value = JSON.parse(json) as JsonObject;
  return { kind, name: advertisedName, backend, originalName, value };
}
