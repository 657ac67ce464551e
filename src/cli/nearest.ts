import { closestOf } from "../config/suggestion.ts";

/** The known names that `name` is most likely meant to be, best first; also those that contain it. */
export function nearest(name: string, known: readonly string[], limit: number): readonly string[] {
  const found: string[] = [];
  const rest = new Set(known);
  for (let next = closestOf(name, rest); next !== undefined; next = closestOf(name, rest)) {
    found.push(next);
    rest.delete(next);
    if (found.length >= limit) return found;
  }
  const wanted = name.toLowerCase();
  const containing = [...rest].filter((other) => other.toLowerCase().includes(wanted));
  return [...found, ...(wanted.length < 2 ? [] : containing)].slice(0, limit);
}
