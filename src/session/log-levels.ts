import type { JsonValue } from "../domain/json.ts";

/** RFC 5424 severities as `logging/setLevel` names them, the least important first. */
export const LOG_LEVELS: readonly string[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

/** Whether a message of this level is less than the client asked for. One of an unknown level is not. */
export function isBelowLevel(level: JsonValue | undefined, minimum: string): boolean {
  if (typeof level !== "string") return false;
  const rank = LOG_LEVELS.indexOf(level);
  return rank !== -1 && rank < LOG_LEVELS.indexOf(minimum);
}
