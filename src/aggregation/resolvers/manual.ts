import { findingOf } from "../finding.ts";
import { backendsOf, type ConflictResolver, findConflicts } from "./conflict-resolver.ts";
import { settleNames } from "./settle-names.ts";

/** Names stay as they are; a name that several backends have is hidden until overrides tell them apart. */
export const resolveManually: ConflictResolver = (candidates, rules) => {
  const conflicts = findConflicts(candidates);
  const settled = settleNames(
    candidates
      .filter(({ name }) => !conflicts.has(name))
      .map((candidate) => ({ candidate, wanted: candidate.name })),
    rules.maxNameLength,
  );
  const hidden = [...conflicts.values()].flatMap((rivals) => {
    const says = `is hidden: ${backendsOf(rivals).join(", ")} share the name; give them different names by overrides`;
    return rivals.map((candidate) => findingOf("conflict_hidden", candidate, says));
  });
  return { kept: settled.kept, findings: [...settled.findings, ...hidden] };
};
