import type { Logger } from "../../domain/logger.ts";
import type { UsedConfig } from "../config-source.ts";
import type { Flags } from "../flags.ts";
import { FileWatcher } from "./file-watcher.ts";
import type { Reloader } from "./reloader.ts";

/** Reloads when the file changes, once at the beginning too; undefined where there is none or nobody wants it. */
export function watchConfig(
  { file }: UsedConfig,
  flags: Flags,
  reloader: Reloader,
  logger: Logger,
): FileWatcher | undefined {
  if (file === undefined || flags.isSet("no-watch")) return undefined;
  const onChange = (): void => void reloader.reload({ isAsked: false });
  const watcher = new FileWatcher({ path: file, onChange, logger });
  // It may have changed while the gateway started.
  onChange();
  return watcher;
}
