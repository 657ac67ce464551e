import { z } from "zod";
import { nonEmptyText } from "./fields.ts";

/** What is done about definitions that are not as they were locked. */
const PIN_MODES = ["off", "warn", "quarantine"] as const;

const DEFAULT_LOCK_FILE = "vmcp.lock.json";

/** For all backends. */
export const pinningSchema = z
  .enum(PIN_MODES)
  .default("off")
  .describe(
    "What happens where a tool, prompt or resource template is not as `vmcp lock` has written it down: `warn` tells the operator, `quarantine` also keeps it from clients until it is locked again.",
  );

/** For one backend. */
export const backendPinningSchema = z
  .enum(PIN_MODES)
  .optional()
  .describe("As the gateway's `pinning`, for this backend; default that.");

export const lockFileSchema = nonEmptyText()
  .default(DEFAULT_LOCK_FILE)
  .describe("The file of `vmcp lock`; relative to the configuration file.");
