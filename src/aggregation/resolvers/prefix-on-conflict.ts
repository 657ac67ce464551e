import { findingOf } from "../finding.ts";
import {
  backendsOf,
  type ConflictResolver,
  findConflicts,
  prefixedName,
} from "./conflict-resolver.ts";
import { settleNames } from "./settle-names.ts";

/** Names that one backend alone has stay; all bearers of a name that several have get their prefix. */
export const resolveByPrefixOnConflict: ConflictResolver = (candidates, rules) => {
  const conflicts = findConflicts(candidates);
  const { kept, findings } = settleNames(
    candidates.map((candidate) => ({
      candidate,
      wanted: conflicts.has(candidate.name) ? prefixedName(candidate, rules) : candidate.name,
    })),
    rules.maxNameLength,
  );
  const prefixed = kept.flatMap(({ candidate, advertisedName }) => {
    const rivals = conflicts.get(candidate.name);
    if (rivals === undefined) return [];
    const says = `is advertised as "${advertisedName}": ${backendsOf(rivals).join(", ")} share the name`;
    return [findingOf("conflict_prefixed", candidate, says, advertisedName)];
  });
  return { kept, findings: [...findings, ...prefixed] };
};
