import { NO_SUBJECTS, OWN_SOURCE } from "../audit/audit-record.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { toParty } from "../audit/audited-party.ts";
import { VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";

/** The gateway asked for credentials with which it proves itself to a backend, whether it got them or not. */
export interface CredentialsRefresh {
  readonly backend: string;
  /** The strategy by its name in the configuration, such as `token_exchange`. */
  readonly strategy: string;
  /** On whose behalf; absent where the credentials are the gateway's own. */
  readonly identity?: Identity;
  readonly durationMs: number;
  /** Absent where credentials were had. */
  readonly error?: unknown;
}

/** Records that credentials were fetched, and never what they are. */
export function recordRefresh(refresh: CredentialsRefresh, trail: AuditTrail): void {
  const { backend, strategy, identity, durationMs, error } = refresh;
  trail.record({
    type: "credentials_refreshed",
    outcome: error === undefined ? "success" : "failure",
    source: OWN_SOURCE,
    subjects: identity === undefined ? NO_SUBJECTS : toParty({ identity }).subjects,
    target: { type: "server", name: backend },
    extra: {
      strategy,
      duration_ms: Math.round(durationMs),
      error_kind: error === undefined ? undefined : VmcpError.from(error).code,
    },
  });
}
