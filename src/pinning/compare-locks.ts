import { isSameValue } from "./canonical.ts";
import { type Change, type ChangeEffect } from "./change.ts";
import { compareDefinitions } from "./compare-definitions.ts";
import { textChange } from "./compare-schemas.ts";
import {
  LOCKED_KINDS,
  type Lock,
  type LockedBackend,
  type LockedEntry,
  type LockedKind,
} from "./lock.ts";
import { shownText } from "./shown-text.ts";

/** One difference between what is locked and what is offered. Every text in it is harmless on a terminal. */
export interface Difference extends Change {
  readonly backend: string;
  /** `backend`: of the backend as a whole. */
  readonly kind: LockedKind | "backend";
  /** The original name; empty for a backend as a whole. */
  readonly name: string;
  /** Whether it may turn what clients trust into something else, and so wants to be looked at first. */
  readonly isWarning: boolean;
}

/** Lets a tool or its reader do more than before. What becomes narrower only stops working. */
const WARNINGS: ReadonlySet<ChangeEffect> = new Set(["added", "widened", "riskier", "text"]);

/** Every difference: backends by name, in each first the backend itself, then kind by kind by name. */
export function compareLocks(locked: Lock, offered: Lock): readonly Difference[] {
  const names = [...new Set([...locked.keys(), ...offered.keys()])].toSorted();
  return names.flatMap((backend) =>
    compareBackends(backend, locked.get(backend), offered.get(backend)),
  );
}

function compareBackends(
  backend: string,
  locked: LockedBackend | undefined,
  offered: LockedBackend | undefined,
): readonly Difference[] {
  const about = { backend, kind: "backend", name: "" } as const;
  if (offered === undefined) {
    return [difference(about, { path: "", effect: "removed", says: "is no longer configured" })];
  }
  const own =
    locked === undefined
      ? [{ path: "", effect: "added", says: "is not in the lock file" } as const]
      : compareInstructions(locked.instructions, offered.instructions);
  return [
    ...own.map((change) => difference(about, change)),
    ...LOCKED_KINDS.flatMap((kind) => compareKind(backend, kind, locked, offered)),
  ];
}

/** What changed in what a backend tells of itself. */
export function compareInstructions(
  was: string | undefined,
  is: string | undefined,
): readonly Change[] {
  if (isSameValue(was, is)) return [];
  return [{ path: "instructions", effect: "text", says: textChange(was, is) }];
}

function compareKind(
  backend: string,
  kind: LockedKind,
  locked: LockedBackend | undefined,
  offered: LockedBackend,
): readonly Difference[] {
  const old: ReadonlyMap<string, LockedEntry> = locked?.entries[kind] ?? new Map();
  const now = offered.entries[kind];
  const keys = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return keys.flatMap((key): readonly Difference[] => {
    const about = { backend, kind, name: shownText(key) };
    const [was, is] = [old.get(key), now.get(key)];
    if (was === undefined) {
      return [difference(about, { path: "", effect: "added", says: "is not in the lock file" })];
    }
    if (is === undefined) {
      return [difference(about, { path: "", effect: "removed", says: "is no longer offered" })];
    }
    if (was.digest === is.digest) return [];
    return compareDefinitions(was.definition, is.definition).map((change) =>
      difference(about, change),
    );
  });
}

function difference(
  about: Pick<Difference, "backend" | "kind" | "name">,
  change: Change,
): Difference {
  return { ...about, ...change, isWarning: WARNINGS.has(change.effect) };
}
