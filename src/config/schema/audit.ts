import { z } from "zod";
import { AUDIT_EVENT_TYPES } from "../../domain/audit-event-types.ts";
import { nonEmptyText, sizeField } from "./fields.ts";

const eventTypes = z.array(z.enum(AUDIT_EVENT_TYPES)).default([]);

/** Records of who did what. */
export const auditSchema = z
  .strictObject({
    enabled: z.boolean().default(false).describe("Whether records are written."),
    component: nonEmptyText()
      .max(200)
      .optional()
      .describe("Names this gateway in its records; default `name`."),
    eventTypes: eventTypes.describe("What is recorded; everything where the list is empty."),
    excludeEventTypes: eventTypes.describe(
      "What is not recorded, whatever `eventTypes` says. Nothing is refused for want of such a record.",
    ),
    includeRequestData: z
      .boolean()
      .default(false)
      .describe(
        "Puts arguments, and URIs with their query, into the records. They may be secrets.",
      ),
    includeResponseData: z
      .boolean()
      .default(false)
      .describe("Puts results into the records. They may be secrets."),
    detectApplicationErrors: z
      .boolean()
      .default(true)
      .describe("Gives the result of a tool that says `isError` the outcome `application_error`."),
    maxDataSize: sizeField()
      .prefault(1024)
      .describe("The most of one request or one result that is put into a record."),
    logFile: nonEmptyText()
      .optional()
      .describe(
        "Where records are appended, one line each; default standard output, and standard error with `--stdio`.",
      ),
    onFailure: z
      .enum(["deny", "allow"])
      .default("deny")
      .describe(
        "While records cannot be written: `deny` refuses what would have to be recorded, `allow` goes on without.",
      ),
  })
  .prefault({})
  .describe("Records of who did what.");

export type AuditInput = z.output<typeof auditSchema>;
