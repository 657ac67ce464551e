import { setTimeout as delay } from "node:timers/promises";
import { Vmcp } from "../../app/vmcp.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { useConfig, type ConfigSource, type UsedConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Flags } from "../flags.ts";
import { Reloader } from "../reload/reloader.ts";
import { watchConfig } from "../reload/watch-config.ts";
import { chooseLogger, createView } from "../serve/serve-output.ts";
import { countWorkers } from "../serve/worker-count.ts";
import { exitAtTheLatest, StopSignals } from "../stop-signals.ts";
import type { Terminal } from "../terminal.ts";

const MAX_PORT = 65_535;

/** What is about the listener, which there is none of over standard input and output. */
const LISTENER_FLAGS = ["host", "port", "path", "allow-insecure-anonymous", "workers"] as const;

/** Runs the gateway until a signal ends it, or with `--stdio` the end of standard input. */
export const serve: CommandAction = async ({ args, flags, terminal: given }) => {
  const isStdio = flags.isSet("stdio");
  if (isStdio) refuseListenerFlags(flags);
  const terminal = isStdio ? withoutOutput(given) : given;
  const source: ConfigSource = {
    file: args[0],
    backends: flags.texts("backend"),
    host: flags.text("host"),
    port: flags.wholeNumber("port", MAX_PORT),
    path: flags.text("path"),
    allowInsecureAnonymous: flags.isSet("allow-insecure-anonymous"),
  };
  const used = useConfig(source, terminal);
  const workers = isStdio ? 1 : countWorkers(flags, used.config);
  if (workers > 1) {
    const { serveWithWorkers } = await import("../serve/serve-with-workers.ts");
    return serveWithWorkers({ workers, source, used, flags, terminal });
  }
  let reloader: Reloader | undefined;
  using signals = new StopSignals(
    terminal.isAttached ? {} : { onHangup: () => void reloader?.reload({ isAsked: true }) },
  );
  const view = createView(used, flags, terminal);
  const { logger, release } = chooseLogger(used.config, flags, terminal);
  await using vmcp = await Vmcp.create(used.config, {
    logger,
    onBackendHealth: (report) => view.backendChanged(report),
  });
  if (!isStdio) {
    const url = await vmcp.listen();
    view.listening(url);
    logger.info("listening", { url });
  }
  const over = isStdio ? clientOrSignal(vmcp, terminal, signals) : signals.received;
  const isStarted = await Promise.race([started(vmcp, used.config), over]);
  if (isStarted === true) {
    view.ready();
    release();
    // The same file also where it was found by its default name, whichever is there by now.
    const load = (): UsedConfig => useConfig({ ...source, file: used.file }, terminal);
    reloader = new Reloader({ vmcp, view, logger, load });
    const watcher = watchConfig(used, flags, reloader, logger);
    try {
      await over;
    } finally {
      watcher?.[Symbol.dispose]();
      reloader = undefined;
    }
  }
  view.draining(vmcp.sessions.sessionCount);
  const { shutdownGraceMs } = used.config.operational.sessions;
  // Whoever presses Ctrl-C has no balancer that must hear of it first.
  const graceMs = !isStdio && (await over) === "SIGTERM" ? shutdownGraceMs : 0;
  exitAtTheLatest(graceMs + vmcp.drainDeadlineMs, EXIT.ok);
  await vmcp.close({ graceMs });
  view.stopped();
  return EXIT.ok;
};

function refuseListenerFlags(flags: Flags): void {
  const name = LISTENER_FLAGS.find((flag) => flags.isSet(flag) || flags.text(flag) !== undefined);
  if (name === undefined) return;
  throw new CliError(EXIT.usage, `--${name} means nothing with --stdio, which opens no port.`);
}

/** Standard output is the client's alone; what people should read goes to the other one, in plain lines. */
function withoutOutput(terminal: Terminal): Terminal {
  return { ...terminal, out: { ...terminal.err, isInteractive: false } };
}

/** Serves the client on standard input and output until it leaves or a signal comes. */
async function clientOrSignal(
  vmcp: Vmcp,
  terminal: Terminal,
  signals: StopSignals,
): Promise<unknown> {
  const { input, output } = terminal.stdio();
  return Promise.race([vmcp.serveStdio(input, output), signals.received]);
}

/** A backend that is slow to start must not keep others from hearing that the rest is there. */
async function started(vmcp: Vmcp, { operational }: VmcpConfig): Promise<true> {
  const { startDeadlineMs } = operational.sessions;
  await Promise.race([vmcp.probed(), delay(startDeadlineMs, undefined, { ref: false })]);
  return true;
}
