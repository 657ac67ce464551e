import { createHash } from "node:crypto";
import type { Candidate } from "./candidate.ts";

const NAME = /^[A-Za-z0-9_.-]+$/;
const FOREIGN_CHARACTER = /[^A-Za-z0-9_.-]/gu;

/** Enough to tell the tools of any gateway apart, few enough to leave room for the name. */
const HASH_HEX_DIGITS = 8;

/** Whether clients accept the name as it is: 1 to `maxLength` of A-Z, a-z, 0-9, `_`, `.` and `-`. */
export function isUsableName(name: string, maxLength: number): boolean {
  return name.length <= maxLength && NAME.test(name);
}

/**
 * A usable name close to the wanted one: foreign characters become `_`, the end gives way to `_` and a hash.
 *
 * The hash is of the backend and the original name, and so the result does not depend on what else exists.
 * `attempt` above 0 gives further names, for when somebody else bears the first.
 */
export function hashedName(
  { backend, capability }: Candidate,
  wanted: string,
  maxLength: number,
  attempt = 0,
): string {
  const identity = attempt === 0 ? [backend, capability.key] : [backend, capability.key, attempt];
  const hash = createHash("sha256").update(JSON.stringify(identity)).digest("hex");
  const suffix = `_${hash.slice(0, HASH_HEX_DIGITS)}`;
  const stem = wanted.replaceAll(FOREIGN_CHARACTER, "_");
  return stem.slice(0, Math.max(0, maxLength - suffix.length)) + suffix;
}
