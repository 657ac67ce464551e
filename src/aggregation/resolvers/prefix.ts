import { type ConflictResolver, prefixedName } from "./conflict-resolver.ts";
import { settleNames } from "./settle-names.ts";

/** Every name carries its backend's prefix, so that no name depends on what other backends offer. */
export const resolveByPrefix: ConflictResolver = (candidates, rules) =>
  settleNames(
    candidates.map((candidate) => ({ candidate, wanted: prefixedName(candidate, rules) })),
    rules.maxNameLength,
  );
