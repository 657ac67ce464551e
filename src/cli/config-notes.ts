import { describeProblems } from "./config-problems.ts";
import type { UsedConfig } from "./config-source.ts";

/** What a person is told of a gateway whose backends keep nothing between calls. */
const STATELESS_NOTE =
  "operational.sessionManagementV2 is off: every call opens and closes a backend session of its own, so backends keep " +
  "no state between calls. Set it to true to give each client sessions that last.";

/** Sentences about a configuration that an operator should read, though it may be used. */
export function configNotes({ config, warnings }: UsedConfig): readonly string[] {
  const isStateless = !config.operational.sessionManagementV2;
  return [...describeProblems(warnings), ...(isStateless ? [STATELESS_NOTE] : [])];
}
