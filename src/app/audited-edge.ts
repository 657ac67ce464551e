import { outcomeOfError } from "../audit/audited-call.ts";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { toParty, type PartyFacts } from "../audit/audited-party.ts";
import { VmcpError } from "../domain/errors.ts";
import type { EdgeSessions } from "../server/rev-2025-11-25/sessions.ts";

/** The sessions as clients open them: each attempt is recorded, and refused where it could not be. */
export function auditedEdge(sessions: EdgeSessions, trail: AuditTrail): EdgeSessions {
  const failed = (party: PartyFacts, thrown: unknown): void => {
    const { code } = VmcpError.from(thrown);
    const event = {
      ...toParty(party),
      outcome: outcomeOfError(code),
      extra: { error_kind: code },
    };
    trail.record({ ...event, type: "mcp_initialize", target: INITIALIZE });
    if (code === "too_many_sessions") trail.record({ ...event, type: "session_refused" });
  };
  return {
    generate: async (identity) => {
      trail.require("mcp_initialize");
      try {
        return await sessions.generate(identity);
      } catch (error) {
        failed({ identity }, error);
        throw error;
      }
    },
    createSession: async (id, request) => {
      const party = { sessionId: id, identity: request.identity, client: request.client };
      try {
        const session = await sessions.createSession(id, request);
        const extra = { mcp_version: request.client.revision };
        const event = { ...toParty(party), target: INITIALIZE, extra };
        trail.record({ ...event, type: "mcp_initialize", outcome: "success" });
        return session;
      } catch (error) {
        failed(party, error);
        throw error;
      }
    },
    getMultiSession: (id) => sessions.getMultiSession(id),
    whenReady: async (id) => sessions.whenReady(id),
    terminate: async (id) => sessions.terminate(id),
    ...(sessions.onSessionClosed && {
      onSessionClosed: sessions.onSessionClosed.bind(sessions),
    }),
  };
}

const INITIALIZE = { method: "initialize" };
