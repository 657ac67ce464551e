import { NO_SUBJECTS, OWN_SOURCE } from "../audit/audit-record.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import type { Mismatch } from "../pinning/pins.ts";
import { shownText } from "../pinning/shown-text.ts";
import { changesOf } from "./pin-watch.ts";

const MAX_NAME_LENGTH = 1_000;

/** Records that a backend offers something that is not as it was locked, and never the words of it. */
export function recordMismatch(mismatch: Mismatch, trail: AuditTrail): void {
  const { backend, kind, name, digest, is, isWithheld, changes } = mismatch;
  trail.record({
    type: "definition_mismatch",
    outcome: isWithheld ? "denied" : "failure",
    source: OWN_SOURCE,
    subjects: NO_SUBJECTS,
    target: { type: kind, name: shownText(name, MAX_NAME_LENGTH), backend },
    extra: { is, digest, changes: changesOf(changes) },
  });
}
