import { NO_SUBJECTS, OWN_SOURCE } from "../audit/audit-record.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { toParty } from "../audit/audited-party.ts";
import { ConfigError } from "../config/problems.ts";
import type { PlanChange } from "../config/reload-plan.ts";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import type { SessionManagerOptions } from "../session/session-manager.ts";

/** What is recorded of sessions as a whole. */
export function sessionListeners(
  trail: AuditTrail,
): Pick<SessionManagerOptions<EdgeSession>, "onSessionCreated" | "onSessionClosed"> {
  return {
    onSessionCreated: (session) =>
      trail.record({
        ...partyOf(session),
        type: "session_created",
        outcome: "success",
        data: standingsOf(session),
      }),
    onSessionClosed: (_id, cause, session) =>
      trail.record({
        ...partyOf(session),
        type: "session_terminated",
        outcome: "success",
        data: { cause },
      }),
  };
}

function partyOf({ id: sessionId, identity, client }: EdgeSession): ReturnType<typeof toParty> {
  return toParty({ sessionId, identity, client });
}

/** Backends that are neither are late: they join later, and have a record of their own then. */
function standingsOf(session: EdgeSession): JsonObject {
  const standings = session.backends();
  const ready = standings.filter(({ phase }) => phase === "ready").map(({ name }) => name);
  const failed = standings.filter(({ failure }) => failure !== undefined).map(({ name }) => name);
  return {
    backends_initialized: ready.length,
    backends_failed: failed.length,
    backend_ids: ready,
    failed_backends: failed,
  };
}

/** The part of a reload's report that is recorded. */
export interface Reloaded {
  readonly generation: number;
  readonly changes: readonly PlanChange[];
}

const RELOAD = { type: "config_reload", source: OWN_SOURCE, subjects: NO_SUBJECTS } as const;

/** Records what a reload came to, and passes it on. */
export async function recordReload<T extends Reloaded>(
  reload: () => Promise<T>,
  trail: AuditTrail,
): Promise<T> {
  try {
    const report = await reload();
    const { generation } = report;
    const changes = report.changes.map(changeText);
    // A file that was read again and says the same has changed nothing.
    if (changes.length > 0) {
      trail.record({ ...RELOAD, outcome: "success", data: { generation, changes } });
    }
    return report;
  } catch (error) {
    const code = error instanceof ConfigError ? "invalid_config" : VmcpError.from(error).code;
    recordRefusedReload(code, trail);
    throw error;
  }
}

/** Records that a configuration was not taken over, and never what it says. */
export function recordRefusedReload(code: VmcpErrorCode, trail: AuditTrail): void {
  trail.record({ ...RELOAD, outcome: "failure", extra: { error_kind: code } });
}

/** Names what changed and never to what: that may be a secret. */
function changeText(change: PlanChange): string {
  return `${change.kind} ${"backend" in change ? change.backend : change.path}`;
}
