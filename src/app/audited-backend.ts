import type { AuditTrail } from "../audit/audit-trail.ts";
import { toParty } from "../audit/audited-party.ts";
import { VmcpError } from "../domain/errors.ts";
import type {
  ConnectOutcome,
  ConnectRequest,
  SessionBackend,
} from "../session/backend-connection.ts";

/** A backend of which every attempt of a session to connect is recorded, whatever came of it. */
export function auditedBackend(backend: SessionBackend, trail: AuditTrail): SessionBackend {
  const type = "backend_client_initialized";
  if (!trail.records(type)) return backend;
  const record = (request: ConnectRequest, beganAtMs: number, fault: unknown): void => {
    const durationMs = Math.round(performance.now() - beganAtMs);
    trail.record({
      ...toParty(request),
      type,
      outcome: fault === undefined ? "success" : "failure",
      target: { type: "server", name: backend.name },
      extra: {
        duration_ms: durationMs,
        ...(fault !== undefined && { error_kind: VmcpError.from(fault).code }),
      },
    });
  };
  return {
    ...backend,
    connect: async (request, signal): Promise<ConnectOutcome> => {
      const beganAtMs = performance.now();
      try {
        const outcome = await backend.connect(request, signal);
        record(request, beganAtMs, outcome.error);
        return outcome;
      } catch (error) {
        record(request, beganAtMs, error);
        throw error;
      }
    },
  };
}
