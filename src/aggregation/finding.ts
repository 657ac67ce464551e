import type { CapabilityKind } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Candidate } from "./candidate.ts";

/**
 * - `conflict_dropped`: another backend was given the name or URI
 * - `conflict_hidden`: several backends have the name and the strategy leaves the choice to the operator
 * - `conflict_prefixed`: the name got the backend's prefix only because others have it too
 * - `duplicate_dropped`: the backend lists the name twice; the first counts
 * - `name_changed`: the name was unusable, too long or taken, and carries a hash now
 * - `filtered`: the settings hide it
 * - `quarantined`: it is not as it was locked, or was not locked
 * - `override_unused`, `filter_unused`: the backend has nothing of that name; `originalName` is the setting's text
 */
export type FindingKind =
  | "conflict_dropped"
  | "conflict_hidden"
  | "conflict_prefixed"
  | "duplicate_dropped"
  | "name_changed"
  | "filtered"
  | "quarantined"
  | "override_unused"
  | "filter_unused";

/** Something an operator may want to know about how one capability came to be advertised, or not. */
export interface Finding {
  readonly kind: FindingKind;
  readonly capability: CapabilityKind;
  readonly backend: BackendName;
  readonly originalName: string;
  /** Present where the capability is advertised. */
  readonly advertisedName?: string;
  /** A sentence for people. */
  readonly message: string;
}

/** The words for each kind in messages. */
export const KIND_WORDS = {
  tool: "tool",
  prompt: "prompt",
  resource: "resource",
  resourceTemplate: "resource template",
} as const satisfies Record<CapabilityKind, string>;

/** A finding about a capability; `says` continues the sentence that begins with its kind, name and backend. */
export function findingOf(
  kind: FindingKind,
  { backend, capability }: Candidate,
  says: string,
  advertisedName?: string,
): Finding {
  const subject = `${KIND_WORDS[capability.kind]} "${capability.key}" of backend "${backend}"`;
  return {
    kind,
    capability: capability.kind,
    backend,
    originalName: capability.key,
    ...(advertisedName === undefined ? {} : { advertisedName }),
    message: `${subject} ${says}`,
  };
}
