import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { Logger } from "../../domain/logger.ts";
import type { UsedConfig } from "../config-source.ts";
import type { Flags } from "../flags.ts";
import { FileWatcher } from "./file-watcher.ts";
import type { Reloader } from "./reloader.ts";

/**
 * Reloads when the file changes, or the lock file that it pins backends to, and once at the beginning too; undefined
 * where there is none or nobody wants it.
 */
export function watchConfig(
  { file, config }: UsedConfig,
  flags: Flags,
  reloader: Reloader,
  logger: Logger,
): Disposable | undefined {
  if (file === undefined || flags.isSet("no-watch")) return undefined;
  const onChange = (): void => void reloader.reload({ isAsked: false });
  const paths = isPinned(config) ? [file, config.lockFile] : [file];
  const watchers = paths.map((path) => new FileWatcher({ path, onChange, logger }));
  // It may have changed while the gateway started.
  onChange();
  return {
    [Symbol.dispose]: () => {
      for (const watcher of watchers) watcher[Symbol.dispose]();
    },
  };
}

function isPinned({ backends, pinning }: VmcpConfig): boolean {
  return backends.some((backend) => (backend.pinning ?? pinning) !== "off");
}
