import { pino } from "pino";
import type { LogFields, Logger } from "../domain/logger.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Longest field of a log line; what a stranger said must not fill the disk. */
const MAX_FIELD_LENGTH = 2_000;

/** One JSON object per line on standard error, so that standard output stays for what was asked for. */
export function createLogger(level: LogLevel): Logger {
  const out = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, fields) => out.debug(clip(fields), message),
    info: (message, fields) => out.info(clip(fields), message),
    warn: (message, fields) => out.warn(clip(fields), message),
    error: (message, fields) => out.error(clip(fields), message),
  };
}

function clip(fields: LogFields = {}): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? value.slice(0, MAX_FIELD_LENGTH) : value,
    ]),
  );
}
