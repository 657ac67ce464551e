import type { AuditTrail } from "../audit/audit-trail.ts";
import { eventTypeOf } from "../audit/audited-requests.ts";
import { toParty } from "../audit/audited-party.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { AuditedSession } from "../session/audited-session.ts";
import type { SessionAudit } from "../session/session-audit.ts";
import type { MultiSessionFactory } from "../session/session.ts";
import type { ListName } from "../session/view.ts";

/** Makes the sessions of another factory and has their requests recorded. */
export function auditedFactory(
  factory: MultiSessionFactory<EdgeSession>,
  trail: AuditTrail,
): MultiSessionFactory<EdgeSession> {
  const audited = (session: EdgeSession): EdgeSession =>
    new AuditedSession(session, sessionAudit(session, trail));
  return {
    makeSession: async (...request) => audited(await factory.makeSession(...request)),
    makeSessionWithId: async (...request) => audited(await factory.makeSessionWithId(...request)),
  };
}

const LIST_METHODS = {
  tools: "tools/list",
  prompts: "prompts/list",
  resources: "resources/list",
  resourceTemplates: "resources/templates/list",
} as const satisfies Record<ListName, string>;

function sessionAudit(session: EdgeSession, trail: AuditTrail): SessionAudit {
  const { id: sessionId, identity, client } = session;
  const party = toParty({ sessionId, identity, client });
  const listEvent = (name: ListName) => {
    const method = LIST_METHODS[name];
    return { ...party, type: eventTypeOf(method), target: { method } };
  };
  return {
    callBegins: (request) => trail.callBegins(party, request),
    listing: (name) => trail.recordFirst({ ...listEvent(name), outcome: "success" }),
    listingFailed: (name, { code }) =>
      trail.record({ ...listEvent(name), outcome: "failure", extra: { error_kind: code } }),
  };
}
