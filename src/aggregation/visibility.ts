import type { Candidate, NamedCandidate, Resolution } from "./candidate.ts";
import { rulesByWorkload } from "./collect.ts";
import { type Finding, findingOf } from "./finding.ts";
import { isGlob, matchesGlob } from "./glob.ts";
import type { AggregationSettings, BackendRules } from "./settings.ts";

/**
 * Why a name or URI of a backend is hidden, as the end of a sentence; undefined where it is seen.
 *
 * It judges unlisted URIs too, so that what a filter hides can be refused however a client came to know it.
 */
export type Visibility = (subject: Pick<Candidate, "backend" | "name">) => string | undefined;

/** What hides tools: `excludeAllTools`, then the backend's entry, then `defaultToolVisibility`. */
export function toolVisibility(settings: AggregationSettings): Visibility {
  if (settings.excludeAllTools) return () => "is hidden by excludeAllTools";
  const unlisted =
    settings.defaultToolVisibility === "deny" ? "is hidden by defaultToolVisibility" : undefined;
  return visibilityBy(settings.tools, unlisted);
}

/** What hides prompts, resources or templates: the backend's entry alone. */
export function visibilityBy(rules: readonly BackendRules[], unlisted?: string): Visibility {
  const visibilities = new Map(
    [...rulesByWorkload(rules)].map(([workload, rule]) => [workload, visibilityOfBackend(rule)]),
  );
  return (subject) => {
    const ofBackend = visibilities.get(subject.backend);
    return ofBackend === undefined ? unlisted : ofBackend(subject);
  };
}

/** Takes the hidden ones out of a resolution; each leaves a finding. */
export function removeHidden(resolution: Resolution, visibility: Visibility): Resolution {
  const kept: NamedCandidate[] = [];
  const findings: Finding[] = [...resolution.findings];
  for (const named of resolution.kept) {
    const reason = visibility(named.candidate);
    if (reason === undefined) kept.push(named);
    else findings.push(findingOf("filtered", named.candidate, reason));
  }
  return { kept, findings };
}

function visibilityOfBackend({ workload, filter, excludeAll }: BackendRules): Visibility {
  if (excludeAll) return () => `is hidden by excludeAll for "${workload}"`;
  if (filter === undefined) return () => undefined;
  const exact = new Set(filter);
  const globs = filter.filter(isGlob);
  return ({ name }) => {
    const isListed = exact.has(name) || globs.some((glob) => matchesGlob(glob, name));
    return isListed ? undefined : `is hidden: the filter for "${workload}" does not list it`;
  };
}
