import { z } from "zod";
import { nonEmptyText, refused } from "./fields.ts";

/** What the clients may do that were let in. */
export const authzSchema = z
  .strictObject({
    type: z
      .enum(["none", "cedar"])
      .describe("`none` lets every client do everything; `cedar` what `policies` permit."),
    policies: z
      .array(nonEmptyText())
      .optional()
      .describe("Cedar policies, one in each text. What none of them permits is denied."),
    entitiesJson: nonEmptyText()
      .optional()
      .describe("Entities that policies refer to, as a JSON list in Cedar's format."),
    primaryUpstreamProvider: refused(z.string().optional(), "Provider whose claims count."),
    groupClaimName: nonEmptyText()
      .optional()
      .describe(
        "Claim that lists the groups of a client, or the path to it with dots; without it, or where a token lacks it: `groups`, `roles`, `cognito:groups`, whichever comes first.",
      ),
    roleClaimName: nonEmptyText()
      .optional()
      .describe("Claim that lists roles, which count as groups besides."),
    groupEntityType: nonEmptyText()
      .default("THVGroup")
      .describe("Cedar type that groups and roles have."),
  })
  .optional()
  .describe("What clients may do.");

export type AuthzInput = z.output<typeof authzSchema>;
