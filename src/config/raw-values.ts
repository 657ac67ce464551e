import type { ConfigPath } from "./problems.ts";

/** A mapping as it came from the file, before anything is known about its values. */
export type RawObject = Readonly<Record<string, unknown>>;

export function isRawObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The mapping itself, or an empty one where something else (or nothing) stands. */
export function objectOf(value: unknown): RawObject {
  return isRawObject(value) ? value : {};
}

/** The list itself, or an empty one where something else (or nothing) stands. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The value at a path, own keys only; undefined where the path leads nowhere. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>((value, segment) => {
    if (Array.isArray(value)) return typeof segment === "number" ? value[segment] : undefined;
    if (!isRawObject(value) || !Object.hasOwn(value, segment)) return undefined;
    return value[segment];
  }, root);
}

/** Names a value's kind the way the error messages do. Never the value itself. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return `a ${typeof value}`;
}
