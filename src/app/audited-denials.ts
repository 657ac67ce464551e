import { NO_SUBJECTS, type AuditEvent } from "../audit/audit-record.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { sessionName, toParty } from "../audit/audited-party.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonValue } from "../domain/json.ts";
import type { DeniedRequest } from "../server/http-host.ts";

/** Something that was not done because its asker may not have it done: Host, Origin, credentials, scope, policy, rate. */
export interface Denial extends DeniedRequest {
  /** Who asked, where that is known by then. */
  readonly identity?: Identity;
  /** The session that it was asked in, where there is one. */
  readonly sessionId?: string;
  /** What it was about, such as `{ type: "tool", name: "delete" }`. */
  readonly target?: { readonly type: string; readonly name: string };
  /** Why, in words of the gateway or its operator, such as the id of a policy; never of the asker. */
  readonly reason?: string;
}

/** A session was asked for by somebody who is not its owner. */
export interface BindingMismatch {
  readonly method: string;
  readonly address: string | undefined;
  readonly sessionId: string;
  /** Who asked. */
  readonly identity: Identity;
}

/** More records of one kind than this a second say no more, and strangers could fill the disk with them. */
const RECORDS_PER_SECOND = 10;

/** What is recorded of requests that were refused: not all of them if they are many. */
export class DeniedRequests {
  readonly #denials: BoundedRecords;
  readonly #mismatches: BoundedRecords;

  /** `now` in milliseconds, of a clock that never goes back. */
  constructor(trail: AuditTrail, now: () => number) {
    this.#denials = new BoundedRecords(trail, now);
    this.#mismatches = new BoundedRecords(trail, now);
  }

  note({ method, address, code, identity, sessionId, target, reason }: Denial): void {
    this.#denials.record({
      type: "request_denied",
      outcome: "denied",
      ...askerOf(address, identity, sessionId),
      target: { method, ...target },
      extra: { error_kind: code, reason },
    });
  }

  noteMismatch({ method, address, sessionId, identity }: BindingMismatch): void {
    this.#mismatches.record({
      type: "binding_mismatch",
      outcome: "denied",
      ...askerOf(address, identity),
      target: { method, type: "session", name: sessionName(sessionId) },
    });
  }
}

class BoundedRecords {
  readonly #trail: AuditTrail;
  readonly #now: () => number;
  #secondBeganAtMs = Number.NEGATIVE_INFINITY;
  #recorded = 0;
  #unrecorded = 0;

  constructor(trail: AuditTrail, now: () => number) {
    this.#trail = trail;
    this.#now = now;
  }

  record(event: AuditEvent): void {
    const nowMs = this.#now();
    if (nowMs - this.#secondBeganAtMs >= 1_000) {
      this.#secondBeganAtMs = nowMs;
      this.#recorded = 0;
    }
    if (this.#recorded === RECORDS_PER_SECOND) {
      this.#unrecorded += 1;
      return;
    }
    this.#recorded += 1;
    this.#trail.record({ ...event, extra: this.#withUnrecorded(event.extra) });
    this.#unrecorded = 0;
  }

  #withUnrecorded(extra: AuditEvent["extra"]): Readonly<Record<string, JsonValue | undefined>> {
    return this.#unrecorded === 0
      ? { ...extra }
      : { ...extra, unrecorded_before: this.#unrecorded };
  }
}

function askerOf(
  address: string | undefined,
  identity: Identity | undefined,
  sessionId?: string,
): Pick<AuditEvent, "source" | "subjects"> {
  const source = {
    type: "network",
    value: address ?? "unknown",
    ...(sessionId !== undefined && { extra: { session_id: sessionName(sessionId) } }),
  } as const;
  return {
    source,
    subjects: identity === undefined ? NO_SUBJECTS : toParty({ identity }).subjects,
  };
}
