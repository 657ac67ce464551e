import { NO_SUBJECTS, OWN_SOURCE } from "../audit/audit-record.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { toParty } from "../audit/audited-party.ts";
import type { PlanChange } from "../config/reload-plan.ts";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { DeniedRequest } from "../server/http-host.ts";
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

/** More records than this a second say no more, and strangers could fill the disk with them. */
const DENIALS_PER_SECOND = 10;

/** What is recorded of requests that were refused for their Host or Origin: not all of them if they are many. */
export class DeniedRequests {
  readonly #trail: AuditTrail;
  readonly #now: () => number;
  #secondBeganAtMs = Number.NEGATIVE_INFINITY;
  #recorded = 0;
  #unrecorded = 0;

  constructor(trail: AuditTrail, now: () => number) {
    this.#trail = trail;
    this.#now = now;
  }

  note({ method, address, code }: DeniedRequest): void {
    const nowMs = this.#now();
    if (nowMs - this.#secondBeganAtMs >= 1_000) {
      this.#secondBeganAtMs = nowMs;
      this.#recorded = 0;
    }
    if (this.#recorded === DENIALS_PER_SECOND) {
      this.#unrecorded += 1;
      return;
    }
    this.#recorded += 1;
    this.#trail.record({
      type: "request_denied",
      outcome: "denied",
      source: { type: "network", value: address ?? "unknown" },
      subjects: NO_SUBJECTS,
      target: { method },
      extra: {
        error_kind: code,
        ...(this.#unrecorded > 0 && { unrecorded_before: this.#unrecorded }),
      },
    });
    this.#unrecorded = 0;
  }
}

/** The part of a reload's report that is recorded. */
export interface Reloaded {
  readonly generation: number;
  readonly changes: readonly PlanChange[];
}

/** Records what a reload came to, and passes it on. */
export async function recordReload<T extends Reloaded>(
  reload: () => Promise<T>,
  trail: AuditTrail,
): Promise<T> {
  const event = { type: "config_reload", source: OWN_SOURCE, subjects: NO_SUBJECTS } as const;
  try {
    const report = await reload();
    const { generation } = report;
    const changes = report.changes.map(changeText);
    // A file that was read again and says the same has changed nothing.
    if (changes.length > 0) {
      trail.record({ ...event, outcome: "success", data: { generation, changes } });
    }
    return report;
  } catch (error) {
    const { code } = VmcpError.from(error);
    trail.record({ ...event, outcome: "failure", extra: { error_kind: code } });
    throw error;
  }
}

/** Names what changed and never to what: that may be a secret. */
function changeText(change: PlanChange): string {
  return `${change.kind} ${"backend" in change ? change.backend : change.path}`;
}
