import type { Capability, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Finding } from "./finding.ts";
import type { CapabilityOverride } from "./settings.ts";
import type { Withheld } from "./withheld.ts";

/** All that one backend offers. Each backend appears once among the sources. */
export interface BackendCapabilities {
  readonly backend: BackendName;
  readonly capabilities: CapabilitySet;
  /** What of it may not be offered for now. Default: nothing. */
  readonly withheld?: Withheld | undefined;
}

/** A capability on its way into the list. Backend and original name together are unique within a kind. */
export interface Candidate {
  readonly backend: BackendName;
  readonly capability: Capability;
  /** The name after override, by which conflicts and filters go; the URI of a resource or template. */
  readonly name: string;
  readonly override: CapabilityOverride | undefined;
}

/** A candidate with the name under which clients will know it. */
export interface NamedCandidate {
  readonly candidate: Candidate;
  readonly advertisedName: string;
}

/** What is left of the candidates after a stage, in the order given, and why the rest is not. */
export interface Resolution {
  readonly kept: readonly NamedCandidate[];
  readonly findings: readonly Finding[];
}
