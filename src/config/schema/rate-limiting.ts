import { z } from "zod";
import { countField, durationField, nonEmptyText } from "./fields.ts";

const bucket = z.strictObject({
  maxTokens: countField(1).describe("Calls that may be made at once when none was made for long."),
  refillPeriod: durationField().describe("In this time an empty bucket is full again."),
});

/** How often tools may be called. */
export const rateLimitingSchema = z
  .strictObject({
    shared: bucket.optional().describe("For the calls of all clients together."),
    perUser: bucket.optional().describe("For the calls of each client that is identified."),
    tools: z
      .array(
        z.strictObject({
          name: nonEmptyText().describe("The name of the tool as clients see it."),
          shared: bucket.optional().describe("For the calls of this tool by all clients together."),
          perUser: bucket
            .optional()
            .describe("For the calls of this tool by each client that is identified."),
        }),
      )
      .default([])
      .describe("Limits of single tools, which hold besides the others."),
  })
  .optional()
  .describe(
    "How often tools may be called. A call takes one token of each bucket that is about it.",
  );

export type RateLimitingInput = z.output<typeof rateLimitingSchema>;
