import { hashedName, isUsableName } from "../advertised-name.ts";
import type { Candidate, NamedCandidate, Resolution } from "../candidate.ts";
import { compareText } from "../collect.ts";
import { type Finding, findingOf } from "../finding.ts";

/** The name that a strategy would give a candidate. */
export interface Proposal {
  readonly candidate: Candidate;
  readonly wanted: string;
}

/**
 * Makes proposed names usable and unique, losing nobody.
 *
 * Of several that want one name, the one to which it comes most naturally keeps it (its own name, before one
 * from an override, before a prefixed one), then the first by backend and original name. The others, and
 * names that clients would not accept, end in a hash and are reported.
 */
export function settleNames(proposals: readonly Proposal[], maxLength: number): Resolution {
  const taken = new Set<string>();
  const settled = new Map<Proposal, NamedCandidate>();
  const findings: Finding[] = [];
  for (const proposal of proposals.toSorted(compareClaims(maxLength))) {
    const { candidate, wanted } = proposal;
    const advertisedName = firstFreeName(proposal, maxLength, taken);
    taken.add(advertisedName);
    settled.set(proposal, { candidate, advertisedName });
    if (advertisedName !== wanted) {
      findings.push(
        findingOf(
          "name_changed",
          candidate,
          saysWhy(proposal, maxLength, advertisedName),
          advertisedName,
        ),
      );
    }
  }
  return { kept: proposals.flatMap((proposal) => settled.get(proposal) ?? []), findings };
}

function firstFreeName(
  { candidate, wanted }: Proposal,
  maxLength: number,
  taken: ReadonlySet<string>,
): string {
  if (isUsableName(wanted, maxLength) && !taken.has(wanted)) return wanted;
  for (let attempt = 0; ; attempt += 1) {
    const name = hashedName(candidate, wanted, maxLength, attempt);
    if (!taken.has(name)) return name;
  }
}

function saysWhy({ wanted }: Proposal, maxLength: number, advertisedName: string): string {
  const problem = isUsableName(wanted, maxLength)
    ? `another one bears the name "${wanted}"`
    : `"${wanted}" is not 1 to ${maxLength} of A-Z, a-z, 0-9, "_", "." and "-"`;
  return `is advertised as "${advertisedName}": ${problem}`;
}

function compareClaims(maxLength: number): (a: Proposal, b: Proposal) => number {
  return (a, b) =>
    rankOf(a, maxLength) - rankOf(b, maxLength) ||
    compareText(a.candidate.backend, b.candidate.backend) ||
    compareText(a.candidate.capability.key, b.candidate.capability.key);
}

/** How naturally a name comes to a candidate; lower is better. Hashed names make way for all others. */
function rankOf({ candidate, wanted }: Proposal, maxLength: number): number {
  if (!isUsableName(wanted, maxLength)) return 3;
  if (wanted === candidate.capability.key) return 0;
  return wanted === candidate.name ? 1 : 2;
}
