import type { Candidate } from "../candidate.ts";
import { findingOf } from "../finding.ts";
import {
  backendsOf,
  type ConflictResolver,
  findConflicts,
  type NamingRules,
} from "./conflict-resolver.ts";
import { resolveByPrefixOnConflict } from "./prefix-on-conflict.ts";

/**
 * Of the backends that share a name the best ranked has it and the others lose it. A conflict in which no
 * backend is ranked is settled by prefixes.
 */
export const resolveByPriority: ConflictResolver = (candidates, rules) => {
  const winners = findWinners(candidates, rules);
  const isLoser = ({ name, backend }: Candidate): boolean =>
    (winners.get(name) ?? backend) !== backend;
  const settled = resolveByPrefixOnConflict(
    candidates.filter((candidate) => !isLoser(candidate)),
    rules,
  );
  const lost = candidates.filter(isLoser).map((candidate) => {
    const says = `is not advertised: backend "${winners.get(candidate.name)}" has the same name and a better priority`;
    return findingOf("conflict_dropped", candidate, says);
  });
  return { kept: settled.kept, findings: [...settled.findings, ...lost] };
};

/** The best ranked backend of every conflict in which one is ranked, by name. */
function findWinners(
  candidates: readonly Candidate[],
  { priorityOrder }: NamingRules,
): ReadonlyMap<string, string> {
  const conflicts = [...findConflicts(candidates)];
  return new Map(
    conflicts.flatMap(([name, rivals]) => {
      const backends = new Set(backendsOf(rivals));
      const winner = priorityOrder.find((backend) => backends.has(backend));
      return winner === undefined ? [] : [[name, winner] as const];
    }),
  );
}
