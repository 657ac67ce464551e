import { z } from "zod";
import { countField, nonEmptyText, refused } from "./fields.ts";

const annotations = z.strictObject({
  title: z.string().optional().describe("Title for people."),
  readOnlyHint: z.boolean().optional().describe("Changes nothing."),
  destructiveHint: z.boolean().optional().describe("May destroy something."),
  idempotentHint: z.boolean().optional().describe("Doing it twice is doing it once."),
  openWorldHint: z.boolean().optional().describe("Reaches beyond its own system."),
});

const override = z.strictObject({
  name: nonEmptyText().optional().describe("New name, before conflicts are settled."),
  description: z.string().optional().describe("New description."),
  annotations: annotations.optional().describe("Replaces single annotations; others stay."),
});

const workload = z.strictObject({
  workload: nonEmptyText().describe("Name of the backend."),
  filter: z
    .array(nonEmptyText())
    .optional()
    .describe(
      "Only these are shown; names after override, `*` and `?` match any text or character.",
    ),
  overrides: z.record(z.string(), override).default({}).describe("Changes, by original name."),
  excludeAll: z.boolean().default(false).describe("Show nothing of this backend."),
  toolConfigRef: refused(
    z.strictObject({ name: nonEmptyText() }).optional(),
    "A Kubernetes resource that lists the tools.",
  ),
});

/** How the capabilities of many backends become one list. */
export const aggregationSchema = z
  .strictObject({
    conflictResolution: z
      .enum(["prefix", "prefixOnConflict", "priority", "manual"])
      .default("prefix")
      .describe("What happens where two backends use one name; `prefix` renames always."),
    conflictResolutionConfig: z
      .strictObject({
        prefixFormat: nonEmptyText()
          .default("{workload}_")
          .describe("Put before a name; `{workload}` stands for the backend's name."),
        priorityOrder: z
          .array(nonEmptyText())
          .default([])
          .describe("Backends, best first; required for `priority`."),
      })
      .prefault({})
      .describe("Settings of the strategy."),
    maxNameLength: countField(16, 128)
      .default(64)
      .describe("Longest advertised name; longer ones end in `_` and 8 digits of a hash."),
    excludeAllTools: z.boolean().default(false).describe("Show no tools at all."),
    defaultToolVisibility: z
      .enum(["allow", "deny"])
      .default("allow")
      .describe("Whether a backend without an entry in `tools` shows its tools."),
    tools: z.array(workload).default([]).describe("Settings for the tools of single backends."),
    resources: z.array(workload).default([]).describe("The same for resources."),
    prompts: z.array(workload).default([]).describe("The same for prompts."),
  })
  .prefault({})
  .describe("How the capabilities of many backends become one list.");

export type AggregationInput = z.output<typeof aggregationSchema>;
export type WorkloadInput = z.output<typeof workload>;
