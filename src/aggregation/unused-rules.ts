import type { CapabilityKind } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { BackendCapabilities, Candidate } from "./candidate.ts";
import { rulesByWorkload } from "./collect.ts";
import { type Finding, type FindingKind, KIND_WORDS } from "./finding.ts";
import { isGlob, matchesGlob } from "./glob.ts";
import type { BackendRules } from "./settings.ts";

/**
 * Names overrides and filter patterns that fit nothing, which mostly are spelling mistakes.
 *
 * Rules for a backend that is not among the sources are not judged: its lists may just not be known yet.
 */
export function findUnusedRules(
  sources: readonly BackendCapabilities[],
  kind: CapabilityKind,
  candidates: readonly Candidate[],
  rules: readonly BackendRules[],
): readonly Finding[] {
  const ruleOf = rulesByWorkload(rules);
  const candidatesOf = groupByBackend(candidates);
  return sources.flatMap(({ backend }) => {
    const rule = ruleOf.get(backend);
    return rule === undefined
      ? []
      : findUnused(backend, kind, candidatesOf.get(backend) ?? [], rule);
  });
}

function findUnused(
  backend: BackendName,
  kind: CapabilityKind,
  candidates: readonly Candidate[],
  rule: BackendRules,
): Finding[] {
  const originalNames = new Set(candidates.map(({ capability }) => capability.key));
  const names = new Set(candidates.map(({ name }) => name));
  const report = (finding: FindingKind, setting: string, text: string): Finding => ({
    kind: finding,
    capability: kind,
    backend,
    originalName: text,
    message: `the ${setting} "${text}" fits no ${KIND_WORDS[kind]} of backend "${backend}"`,
  });
  return [
    ...Object.keys(rule.overrides)
      .filter((key) => !originalNames.has(key))
      .map((key) => report("override_unused", "override", key)),
    ...(rule.filter ?? [])
      .filter((pattern) => !fitsAny(pattern, names))
      .map((pattern) => report("filter_unused", "filter", pattern)),
  ];
}

function fitsAny(pattern: string, names: ReadonlySet<string>): boolean {
  if (!isGlob(pattern)) return names.has(pattern);
  return [...names].some((name) => matchesGlob(pattern, name));
}

function groupByBackend(candidates: readonly Candidate[]): ReadonlyMap<string, Candidate[]> {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const group = groups.get(candidate.backend);
    if (group === undefined) groups.set(candidate.backend, [candidate]);
    else group.push(candidate);
  }
  return groups;
}
