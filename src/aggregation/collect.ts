import type { Capability, CapabilityKind } from "../domain/capabilities.ts";
import type { BackendCapabilities, Candidate } from "./candidate.ts";
import { type Finding, findingOf } from "./finding.ts";
import type { AggregationSettings, BackendRules, CapabilityOverride } from "./settings.ts";

/** The candidates of each kind: backends in the order of their names, each in its own order. */
export interface Collected {
  readonly tools: readonly Candidate[];
  readonly prompts: readonly Candidate[];
  readonly resources: readonly Candidate[];
  readonly resourceTemplates: readonly Candidate[];
  readonly findings: readonly Finding[];
}

/** Puts overrides on what the backends list. A name that a backend lists twice counts once, the first time. */
export function collect(
  sources: readonly BackendCapabilities[],
  settings: AggregationSettings,
): Collected {
  const ordered = sources.toSorted((a, b) => compareText(a.backend, b.backend));
  const findings: Finding[] = [];
  const candidatesOf = (list: CapabilityList, rules: readonly BackendRules[]): Candidate[] => {
    const ruleOf = rulesByWorkload(rules);
    return ordered.flatMap((source) =>
      candidatesOfBackend(source, source.capabilities[list], ruleOf.get(source.backend), findings),
    );
  };
  return {
    tools: candidatesOf("tools", settings.tools),
    prompts: candidatesOf("prompts", settings.prompts),
    resources: candidatesOf("resources", settings.resources),
    resourceTemplates: candidatesOf("resourceTemplates", settings.resources),
    findings,
  };
}

/** The rules that hold for each backend: the first entry that names it. */
export function rulesByWorkload(rules: readonly BackendRules[]): ReadonlyMap<string, BackendRules> {
  return new Map(rules.toReversed().map((rule) => [rule.workload, rule]));
}

/** By code units: the same on every machine, whatever its language. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

type CapabilityList = "tools" | "prompts" | "resources" | "resourceTemplates";

const IS_RENAMABLE = {
  tool: true,
  prompt: true,
  resource: false,
  resourceTemplate: false,
} as const satisfies Record<CapabilityKind, boolean>;

function candidatesOfBackend(
  { backend }: BackendCapabilities,
  capabilities: readonly Capability[],
  rules: BackendRules | undefined,
  findings: Finding[],
): Candidate[] {
  const overrides = new Map(Object.entries(rules?.overrides ?? {}));
  const byKey = new Map<string, Candidate>();
  for (const capability of capabilities) {
    const override = overrides.get(capability.key);
    const candidate = { backend, capability, name: nameOf(capability, override), override };
    if (byKey.has(capability.key)) {
      findings.push(findingOf("duplicate_dropped", candidate, "is listed twice; the first counts"));
    } else {
      byKey.set(capability.key, candidate);
    }
  }
  return [...byKey.values()];
}

function nameOf(capability: Capability, override: CapabilityOverride | undefined): string {
  return IS_RENAMABLE[capability.kind] ? (override?.name ?? capability.key) : capability.key;
}
