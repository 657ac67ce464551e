import { randomUUID } from "node:crypto";
import type { AuditEventType } from "../domain/audit-event-types.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";

/** How an event ended; `pending` is the record of what is about to begin. */
export type AuditOutcome = "pending" | "success" | "failure" | "denied" | "application_error";

/** Where an event came from. `value` is an address, or says in a word what stands for one. */
export interface AuditSource {
  readonly type: "network" | "local";
  readonly value: string;
  readonly extra?: JsonObject;
}

/** What is said of one event, beside what every record holds. */
export interface AuditEvent {
  readonly type: AuditEventType;
  readonly outcome: AuditOutcome;
  readonly source: AuditSource;
  readonly subjects: JsonObject;
  readonly target?: JsonObject | undefined;
  /** What is undefined is left out. */
  readonly extra?: Readonly<Record<string, JsonValue | undefined>> | undefined;
  readonly data?: JsonObject | undefined;
  /** Of the record; made where it is not given. */
  readonly auditId?: string;
}

/** What the gateway does by itself. */
export const OWN_SOURCE: AuditSource = { type: "local", value: "gateway" };

/** Nobody in particular. */
export const NO_SUBJECTS: JsonObject = {};

/** Longest text of a stranger in a record, in characters. */
const MAX_TEXT_LENGTH = 1_000;

/** One line. Its members are those that NIST SP 800-53 AU-3 asks for, named as ToolHive names them. */
export function encodeRecord(event: AuditEvent, component: string): string {
  const { auditId = randomUUID(), extra, type, source, outcome, subjects, target, data } = event;
  const record = {
    metadata: { auditId, extra },
    type,
    loggedAt: new Date().toISOString(),
    source,
    outcome,
    subjects,
    component,
    target,
    data,
  };
  return `${JSON.stringify(record)}\n`;
}

/** A text of a stranger, no longer than a record can take; undefined for anything else. */
export function clipText(value: unknown): string | undefined {
  return typeof value === "string" ? value.slice(0, MAX_TEXT_LENGTH) : undefined;
}

/** The value if its JSON fits, otherwise the beginning of that text. */
export function clipData(value: JsonValue, maxBytes: number): JsonValue {
  const text = JSON.stringify(value);
  const bytes = Buffer.from(text);
  return bytes.length <= maxBytes ? value : beginningOf(bytes, maxBytes);
}

/** No more than so many bytes of the text, cut between two characters. */
export function beginningOf(bytes: Buffer, maxBytes: number): string {
  let end = Math.min(maxBytes, bytes.length);
  // The bytes of a character after its first one begin with the bits 10.
  while (end > 0 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}

const USER_INFO = /^([a-z][a-z\d+.-]*:\/\/)[^/?#]*@/i;
const QUERY_OR_FRAGMENT = /[?#].*$/s;

/** A URI without what is likely to be a secret in it: user and password, query, fragment. */
export function withoutUriSecrets(uri: string): string {
  return uri.replace(USER_INFO, "$1").replace(QUERY_OR_FRAGMENT, "");
}
