import { createHash } from "node:crypto";
import { subjectOf, type Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import { clipText, type AuditSource } from "./audit-record.ts";

/** A client as its records name it. Made once for each session. */
export interface AuditedParty {
  readonly source: AuditSource;
  readonly subjects: JsonObject;
}

export interface PartyFacts {
  /** Absent while there is none yet. */
  readonly sessionId?: string;
  readonly identity: Identity;
  readonly client?: {
    readonly info: JsonObject;
    /** Where the session was opened from; absent for what did not come over the network. */
    readonly address?: string;
  };
}

/** Enough to tell sessions apart. */
const SESSION_NAME_LENGTH = 16;

/** Names who asks. A session id opens its session to whoever knows it, so that a name made from it stands for it. */
export function toParty({ sessionId, identity, client }: PartyFacts): AuditedParty {
  const { address } = client ?? {};
  const extra = sessionId === undefined ? {} : { extra: { session_id: sessionName(sessionId) } };
  return {
    source:
      address === undefined
        ? { type: "local", value: "process", ...extra }
        : { type: "network", value: address, ...extra },
    subjects: { ...userOf(identity), ...programOf(client?.info ?? {}) },
  };
}

/** Stands for a session in every record; it does not lead back to its id. */
export function sessionName(sessionId: string): string {
  return createHash("sha256").update(sessionId).digest("hex").slice(0, SESSION_NAME_LENGTH);
}

function userOf(identity: Identity): JsonObject {
  const subject = subjectOf(identity);
  if (identity.kind === "anonymous" || subject === undefined) return { user: "anonymous" };
  return { user_id: subject, issuer: identity.issuer };
}

function programOf({ name, version }: JsonObject): JsonObject {
  const [client, its] = [clipText(name), clipText(version)];
  return {
    ...(client !== undefined && { client_name: client }),
    ...(its !== undefined && { client_version: its }),
  };
}
