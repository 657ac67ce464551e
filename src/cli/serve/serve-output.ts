import { packageVersion } from "../../app/version.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { Logger } from "../../domain/logger.ts";
import { createLogger, type LogLevel } from "../../telemetry/logger.ts";
import { configNotes } from "../config-notes.ts";
import type { UsedConfig } from "../config-source.ts";
import type { Flags } from "../flags.ts";
import type { Terminal } from "../terminal.ts";
import { createJsonView } from "./json-view.ts";
import { LineLogger } from "./line-logger.ts";
import { LiveView } from "./live-view.ts";
import { createPlainView } from "./plain-view.ts";
import { isShownByViews, type ServeIntroduction, type ServeView } from "./serve-view.ts";

/** How the command tells what happens: for programs, for a person, or in plain lines. */
export function createView(used: UsedConfig, flags: Flags, { out }: Terminal): ServeView {
  const introduction = introduce(used);
  if (flags.isSet("json")) return createJsonView(out, introduction);
  return out.isInteractive ? new LiveView(out, introduction) : createPlainView(out, introduction);
}

function introduce(used: UsedConfig): ServeIntroduction {
  const { config, origin } = used;
  return {
    name: config.name,
    version: packageVersion(),
    origin,
    backends: config.backends.map(({ name, transport }) => ({ name, transport })),
    notes: configNotes(used),
  };
}

/**
 * JSON for programs; short lines for a person, held back while the start is being drawn. `level` is that of the JSON
 * lines, and undefined where a person reads.
 */
export function chooseLogger(
  { operational }: VmcpConfig,
  flags: Flags,
  { out, err }: Terminal,
): {
  readonly logger: Logger;
  readonly level: LogLevel | undefined;
  readonly release: () => void;
} {
  // The choices of the option are the levels.
  const named = flags.text("log-level") as LogLevel | undefined;
  if (!err.isInteractive) {
    const level = named ?? operational.logLevel;
    return { logger: createLogger(level), level, release: () => {} };
  }
  const usual = operational.logLevel === "info" ? "warn" : operational.logLevel;
  const isDrawn = out.isInteractive && !flags.isSet("json");
  const logger = new LineLogger(err, {
    level: named ?? usual,
    // The view tells what became of a backend and of a reload, in the same terminal.
    isToldElsewhere: (fields) => isDrawn && isShownByViews(fields),
  });
  if (isDrawn) logger.hold();
  return { logger, level: undefined, release: () => logger.release() };
}
