import type { CapabilityKind } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { NamedCandidate } from "./candidate.ts";
import { type Finding, findingOf } from "./finding.ts";

/** Original names, by kind, of what may not be offered for now, and why: the end of a sentence. */
export type Withheld = Readonly<Partial<Record<CapabilityKind, ReadonlyMap<string, string>>>>;

/** Something that would be advertised if it were not withheld. */
export interface WithheldCapability {
  readonly kind: CapabilityKind;
  readonly backend: BackendName;
  readonly originalName: string;
  readonly advertisedName: string;
  /** The end of a sentence that begins with its name. */
  readonly reason: string;
}

/** What is left of a list, and what was taken out of it. */
export interface Withholding {
  readonly kept: readonly NamedCandidate[];
  readonly withheld: readonly WithheldCapability[];
  readonly findings: readonly Finding[];
}

/**
 * Takes out what is withheld. To be done when all names are settled: nothing else may come by the name of what is
 * withheld.
 */
export function takeWithheld(
  named: readonly NamedCandidate[],
  byBackend: ReadonlyMap<BackendName, Withheld>,
): Withholding {
  if (byBackend.size === 0) return { kept: named, withheld: [], findings: [] };
  const kept: NamedCandidate[] = [];
  const withheld: WithheldCapability[] = [];
  const findings: Finding[] = [];
  for (const entry of named) {
    const { candidate, advertisedName } = entry;
    const { kind, key: originalName } = candidate.capability;
    const reason = byBackend.get(candidate.backend)?.[kind]?.get(originalName);
    if (reason === undefined) {
      kept.push(entry);
      continue;
    }
    withheld.push({ kind, backend: candidate.backend, originalName, advertisedName, reason });
    findings.push(findingOf("quarantined", candidate, `is withheld: ${reason}`));
  }
  return { kept, withheld, findings };
}
