import { createHash } from "node:crypto";
import { isJsonObject, type JsonValue } from "../domain/json.ts";

/** Deeper nesting is nobody's schema, and would take the stack of whoever walks it. */
const MAX_DEPTH = 100;

/** Equal values have equal texts, whatever the order of their keys. Expects a value no deeper than `isShallow` takes. */
export function canonicalText(value: JsonValue): string {
  return JSON.stringify(sortedByKey(value));
}

/** Stands for the value: equal ones have equal digests, whatever the order of their keys. */
export function digestOf(value: JsonValue): string {
  return `sha256-${createHash("sha256").update(canonicalText(value)).digest("hex")}`;
}

/** The same with the keys of every object in the order of their code units. */
export function sortedByKey(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortedByKey);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).toSorted(byKey);
  return Object.fromEntries(entries.map(([key, entry]) => [key, sortedByKey(entry)]));
}

/** What is absent is not the same as `null`. */
export function isSameValue(left: JsonValue | undefined, right: JsonValue | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return canonicalText(left) === canonicalText(right);
}

/** Whether a value may be walked by functions that call themselves. */
export function isShallow(value: JsonValue, depth = 0): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  return Object.values(value).every((entry: JsonValue) => isShallow(entry, depth + 1));
}

function byKey([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
