import type { Capability, CapabilitySet } from "../domain/capabilities.ts";
import { digestOf } from "./canonical.ts";
import type { Change } from "./change.ts";
import { compareDefinitions } from "./compare-definitions.ts";
import { compareInstructions } from "./compare-locks.ts";
import { definitionOf } from "./definition.ts";
import { LOCKED_KINDS, type Lock, type LockedBackend, type LockedKind } from "./lock.ts";

/** What is done about a definition that is not as it was locked. */
export type PinMode = "off" | "warn" | "quarantine";

/** One thing that is not as it was locked. */
export interface Mismatch {
  readonly backend: string;
  /** `backend`: what the backend tells of itself as a whole, its instructions. */
  readonly kind: LockedKind | "backend";
  /** The original name; empty for a backend as a whole. */
  readonly name: string;
  /** Of what is offered now. */
  readonly digest: string;
  /** `unlocked`: the lock file does not know it. */
  readonly is: "changed" | "unlocked";
  readonly isWithheld: boolean;
  /** What changed; empty for one that is unlocked. */
  readonly changes: readonly Change[];
}

/** Original names by kind, and why what they name is withheld. */
type WithheldNames = Readonly<Record<LockedKind, ReadonlyMap<string, string>>>;

/** What the lock says of one backend's lists. */
export interface Verdict {
  readonly mismatches: readonly Mismatch[];
  /** Undefined where everything may be offered. */
  readonly withheld: WithheldNames | undefined;
}

const NO_VERDICT: Verdict = { mismatches: [], withheld: undefined };

const ADVICE = "run `vmcp check`";

const REASONS = {
  changed: `its definition differs from the lock file; ${ADVICE}`,
  unlocked: `it is not in the lock file; ${ADVICE}`,
} as const satisfies Record<Mismatch["is"], string>;

/** Holds what backends offer against a lock. Lists that were judged once are not compared again. */
export class Pins {
  readonly #lock: Lock;
  readonly #modeOf: (backend: string) => PinMode;
  readonly #verdicts = new WeakMap<CapabilitySet, Verdict>();

  constructor(lock: Lock, modeOf: (backend: string) => PinMode) {
    this.#lock = lock;
    this.#modeOf = modeOf;
  }

  /** What a backend tells the model of itself; undefined where that is as it was locked, or nothing. */
  judgeInstructions(backend: string, instructions: string | undefined): Mismatch | undefined {
    const mode = this.#modeOf(backend);
    const locked = this.#lock.get(backend);
    if (mode === "off" || instructions === undefined) return undefined;
    if (instructions === locked?.instructions) return undefined;
    return {
      backend,
      kind: "backend",
      name: "",
      digest: digestOf(instructions),
      is: locked === undefined ? "unlocked" : "changed",
      isWithheld: mode === "quarantine",
      changes: locked === undefined ? [] : compareInstructions(locked.instructions, instructions),
    };
  }

  /** The lists must be this backend's. What is locked and no longer offered is no mismatch. */
  judge(backend: string, capabilities: CapabilitySet): Verdict {
    const known = this.#verdicts.get(capabilities);
    if (known !== undefined) return known;
    const mode = this.#modeOf(backend);
    const verdict =
      mode === "off" ? NO_VERDICT : judge(backend, capabilities, this.#lock.get(backend), mode);
    this.#verdicts.set(capabilities, verdict);
    return verdict;
  }
}

function judge(
  backend: string,
  capabilities: CapabilitySet,
  locked: LockedBackend | undefined,
  mode: Exclude<PinMode, "off">,
): Verdict {
  const lists: Readonly<Record<LockedKind, readonly Capability[]>> = {
    tool: capabilities.tools,
    prompt: capabilities.prompts,
    resourceTemplate: capabilities.resourceTemplates,
  };
  const isWithheld = mode === "quarantine";
  const mismatches = LOCKED_KINDS.flatMap((kind) =>
    lists[kind].flatMap((capability): readonly Mismatch[] => {
      const definition = definitionOf(capability);
      const digest = digestOf(definition);
      const pinned = locked?.entries[kind].get(capability.key);
      if (pinned?.digest === digest) return [];
      const about = { backend, kind, name: capability.key, digest, isWithheld };
      if (pinned === undefined) return [{ ...about, is: "unlocked", changes: [] }];
      const changes = compareDefinitions(pinned.definition, definition);
      return [{ ...about, is: "changed", changes }];
    }),
  );
  if (mismatches.length === 0) return NO_VERDICT;
  return { mismatches, withheld: isWithheld ? withheldBy(mismatches) : undefined };
}

function withheldBy(mismatches: readonly Mismatch[]): WithheldNames {
  const names = (kind: LockedKind): ReadonlyMap<string, string> =>
    new Map(
      mismatches
        .filter((mismatch) => mismatch.kind === kind)
        .map(({ name, is }) => [name, REASONS[is]]),
    );
  return {
    tool: names("tool"),
    prompt: names("prompt"),
    resourceTemplate: names("resourceTemplate"),
  };
}
