import { z } from "zod";
import { countField, durationField, nonEmptyText } from "./fields.ts";

/** A step may run at most so many of its items at once. */
const MAX_PARALLEL = 50;
const MAX_ITERATIONS = 1000;
const MAX_STEPS = 100;

const jsonObject = z.record(z.string(), z.unknown());

const answerAction = z.strictObject({
  action: z.enum(["skip_remaining", "abort", "continue"]).optional(),
});

const plainStep = {
  id: nonEmptyText(),
  type: z.enum(["tool", "elicitation", "forEach"]).optional(),
  tool: nonEmptyText().optional(),
  arguments: jsonObject.optional(),
  condition: z.string().optional(),
  dependsOn: z.array(nonEmptyText()).optional(),
  onError: z
    .strictObject({
      action: z.enum(["abort", "continue", "retry"]).optional(),
      retryCount: countField(0, 10).optional(),
      retryDelay: durationField().optional(),
    })
    .optional(),
  message: z.string().optional(),
  schema: jsonObject.optional(),
  timeout: durationField().optional(),
  onDecline: answerAction.optional(),
  onCancel: answerAction.optional(),
  defaultResults: jsonObject.optional(),
};

const step = z.strictObject({
  ...plainStep,
  collection: z.string().optional(),
  itemVar: nonEmptyText().optional(),
  maxParallel: countField(1, MAX_PARALLEL).optional(),
  maxIterations: countField(1, MAX_ITERATIONS).optional(),
  step: z.strictObject({ ...plainStep, id: nonEmptyText().optional() }).optional(),
});

/** A tool made of other tools. Checked in full, although this version refuses it. */
export const compositeToolSchema = z.strictObject({
  name: nonEmptyText(),
  description: z.string().optional(),
  parameters: jsonObject.optional(),
  timeout: durationField().optional(),
  annotations: jsonObject.optional(),
  output: jsonObject.optional(),
  steps: z
    .array(step)
    .min(1, "must list at least one step")
    .max(MAX_STEPS, `must list at most ${String(MAX_STEPS)} steps`),
});
