import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";

/** One line of an audit log. */
export interface AuditRecord {
  readonly metadata: { readonly auditId: string; readonly extra?: JsonObject };
  readonly type: string;
  readonly loggedAt: string;
  readonly source: JsonObject & { readonly type: string; readonly value: string };
  readonly outcome: string;
  readonly subjects: JsonObject;
  readonly component: string;
  readonly target?: JsonObject;
  readonly data?: JsonObject;
}

/** The path of a log that is not there yet, in a folder of its own that goes when the test ends. */
export function auditFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-audit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "audit.log");
}

/** Every record in a log, none where there is no log. Throws for a line that is no JSON. */
export function readAudit(path: string): readonly AuditRecord[] {
  return existsSync(path) ? parseAudit(readFileSync(path, "utf8")) : [];
}

/** Every record in a text of which each line is one. */
export function parseAudit(text: string): readonly AuditRecord[] {
  const lines = text.split("\n").filter((line) => line !== "");
  // Whoever reads a log with other lines in it sees that in the test.
  return lines.map((line) => JSON.parse(line) as AuditRecord);
}

/** The ids of the calls with a record of that phase, in its order. */
export function callIds(
  records: readonly AuditRecord[],
  phase: "start" | "end",
): readonly unknown[] {
  return records
    .filter(({ metadata }) => metadata.extra?.["phase"] === phase)
    .map(({ metadata }) => metadata.extra?.["call_id"]);
}
