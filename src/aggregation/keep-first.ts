import type { Candidate, NamedCandidate, Resolution } from "./candidate.ts";
import { type Finding, findingOf } from "./finding.ts";

/**
 * Settles resources or templates, whose URIs never change: of several with one URI the first is kept.
 * With candidates in the order of their backends' names, that is the alphabetically first backend.
 */
export function keepFirst(candidates: readonly Candidate[]): Resolution {
  const kept = new Map<string, NamedCandidate>();
  const findings: Finding[] = [];
  for (const candidate of candidates) {
    const winner = kept.get(candidate.name);
    if (winner === undefined) {
      kept.set(candidate.name, { candidate, advertisedName: candidate.name });
    } else {
      const says = `is not advertised: backend "${winner.candidate.backend}" has the same URI`;
      findings.push(findingOf("conflict_dropped", candidate, says));
    }
  }
  return { kept: [...kept.values()], findings };
}
