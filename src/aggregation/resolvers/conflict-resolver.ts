import type { Candidate, Resolution } from "../candidate.ts";
import type { AggregationSettings } from "../settings.ts";

export type NamingRules = Pick<
  AggregationSettings,
  "prefixFormat" | "priorityOrder" | "maxNameLength"
>;

/**
 * Settles which tools or prompts are advertised, and under which names.
 *
 * A resolver is pure and ignores order: who is kept under which name must not depend on which backend answered
 * first. Names come out unique, usable and within the limit. A candidate that is not kept has a finding. It
 * never throws: one backend's odd name must not cost the others theirs.
 */
export type ConflictResolver = (candidates: readonly Candidate[], rules: NamingRules) => Resolution;

/** The name with the backend's prefix before it. */
export function prefixedName({ backend, name }: Candidate, { prefixFormat }: NamingRules): string {
  return prefixFormat.replaceAll("{workload}", () => backend) + name;
}

/** The names that more than one backend has. Two alike from one backend are no conflict between backends. */
export function findConflicts(
  candidates: readonly Candidate[],
): ReadonlyMap<string, readonly Candidate[]> {
  const groups = [...groupByName(candidates)];
  return new Map(groups.filter(([, group]) => backendsOf(group).length > 1));
}

/** The backends of some candidates, sorted, each once. */
export function backendsOf(candidates: readonly Candidate[]): readonly string[] {
  return [...new Set(candidates.map(({ backend }) => backend))].toSorted();
}

/** The candidates that share each name, in the order given. */
function groupByName(candidates: readonly Candidate[]): ReadonlyMap<string, readonly Candidate[]> {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const group = groups.get(candidate.name);
    if (group === undefined) groups.set(candidate.name, [candidate]);
    else group.push(candidate);
  }
  return groups;
}
