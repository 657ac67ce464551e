import type { VmcpErrorCode } from "../../domain/errors.ts";
import { useConfig, type ConfigSource, type UsedConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Flags } from "../flags.ts";
import { Reloader } from "../reload/reloader.ts";
import { watchConfig } from "../reload/watch-config.ts";
import { exitAtTheLatest, StopSignals } from "../stop-signals.ts";
import type { Terminal } from "../terminal.ts";
import { chooseLogger, createView } from "./serve-output.ts";
import { Supervisor } from "./supervisor.ts";

export interface WorkersCommand {
  readonly workers: number;
  readonly source: ConfigSource;
  readonly used: UsedConfig;
  readonly flags: Flags;
  readonly terminal: Terminal;
}

/**
 * Runs the gateway in several processes until a signal ends it, and resolves with the exit code. This process accepts
 * connections, and starts the workers again that end; they are all that serves.
 */
export async function serveWithWorkers(command: WorkersCommand): Promise<number> {
  const { source, used, flags, terminal } = command;
  let reloader: Reloader | undefined;
  using signals = new StopSignals(
    terminal.isAttached ? {} : { onHangup: () => void reloader?.reload({ isAsked: true }) },
  );
  const view = createView(used, flags, terminal);
  const { logger, level, release } = chooseLogger(used.config, flags, terminal);
  await using supervisor = new Supervisor({
    config: used.config,
    count: command.workers,
    logLevel: level,
    view,
    logger,
  });
  const over = Promise.race([signals.received, supervisor.failed]);
  const url = await supervisor.listen();
  const isOpen = await Promise.race([supervisor.opened, over]);
  if (isOpen === true) {
    view.listening(url);
    logger.info("listening", { url, workers: command.workers });
  }
  const isReady = await Promise.race([supervisor.ready, over]);
  if (isReady === true) {
    view.ready();
    release();
    let loaded = used;
    const load = (): UsedConfig => {
      loaded = useConfig({ ...source, file: used.file }, terminal);
      return loaded;
    };
    const vmcp = {
      reload: async () => supervisor.reload(loaded.config),
      reloadRefused: (code: VmcpErrorCode) => supervisor.reloadRefused(code),
    };
    reloader = new Reloader({ vmcp, view, logger, load });
    const watcher = watchConfig(used, flags, reloader, logger);
    try {
      await over;
    } finally {
      watcher?.[Symbol.dispose]();
      reloader = undefined;
    }
  }
  const cause = await over;
  release();
  const { shutdownGraceMs, drainDeadlineMs } = used.config.operational.sessions;
  // Whoever presses Ctrl-C has no balancer that must hear of it first, and what failed has no time to lose.
  const graceMs = cause === "SIGTERM" ? shutdownGraceMs : 0;
  const exitCode = typeof cause === "string" ? EXIT.ok : cause.exitCode;
  exitAtTheLatest(graceMs + drainDeadlineMs + WORKERS_MARGIN_MS, exitCode);
  await supervisor.stop(graceMs);
  if (typeof cause !== "string") terminal.err.write(cause.text);
  view.stopped();
  return exitCode;
}

/** Workers end in time by themselves, and this process after them. */
const WORKERS_MARGIN_MS = 1_000;
