import { setTimeout as delay } from "node:timers/promises";
import { packageVersion } from "../../app/version.ts";
import { Vmcp } from "../../app/vmcp.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { Logger } from "../../domain/logger.ts";
import { createLogger, type LogLevel } from "../../telemetry/logger.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { useConfig, type UsedConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Flags } from "../flags.ts";
import { createJsonView } from "../serve/json-view.ts";
import { LineLogger } from "../serve/line-logger.ts";
import { LiveView } from "../serve/live-view.ts";
import { createPlainView } from "../serve/plain-view.ts";
import type { ServeIntroduction, ServeView } from "../serve/serve-view.ts";
import { StopSignals } from "../stop-signals.ts";
import type { Terminal } from "../terminal.ts";

const MAX_PORT = 65_535;

/** What a person is told of a gateway whose backends keep nothing between calls. */
const STATELESS_NOTE =
  "operational.sessionManagementV2 is off: every call opens and closes a backend session of its own, so backends keep " +
  "no state between calls. Set it to true to give each client sessions that last.";

/** What is about the listener, which there is none of over standard input and output. */
const LISTENER_FLAGS = ["host", "port", "path", "allow-insecure-anonymous"] as const;

/** Runs the gateway until a signal ends it, or with `--stdio` the end of standard input. */
export const serve: CommandAction = async ({ args, flags, terminal: given }) => {
  const isStdio = flags.isSet("stdio");
  if (isStdio) refuseListenerFlags(flags);
  const terminal = isStdio ? withoutOutput(given) : given;
  const used = useConfig(
    {
      file: args[0],
      backends: flags.texts("backend"),
      host: flags.text("host"),
      port: flags.wholeNumber("port", MAX_PORT),
      path: flags.text("path"),
      allowInsecureAnonymous: flags.isSet("allow-insecure-anonymous"),
    },
    terminal,
  );
  using signals = new StopSignals();
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
    await over;
  }
  view.draining(vmcp.sessions.sessionCount);
  await vmcp.close();
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

function createView(used: UsedConfig, flags: Flags, { out }: Terminal): ServeView {
  const introduction = introduce(used);
  if (flags.isSet("json")) return createJsonView(out, introduction);
  return out.isInteractive ? new LiveView(out, introduction) : createPlainView(out, introduction);
}

function introduce({ config, origin, warnings }: UsedConfig): ServeIntroduction {
  const { sessionManagementV2 } = config.operational;
  return {
    name: config.name,
    version: packageVersion(),
    origin,
    backends: config.backends.map(({ name, transport }) => ({ name, transport })),
    notes: [...describeProblems(warnings), ...(sessionManagementV2 ? [] : [STATELESS_NOTE])],
  };
}

/** JSON for programs; short lines for a person, held back while the start is being drawn. */
function chooseLogger(
  { operational }: VmcpConfig,
  flags: Flags,
  { out, err }: Terminal,
): { readonly logger: Logger; readonly release: () => void } {
  // The choices of the option are the levels.
  const named = flags.text("log-level") as LogLevel | undefined;
  if (!err.isInteractive) {
    return { logger: createLogger(named ?? operational.logLevel), release: () => {} };
  }
  const usual = operational.logLevel === "info" ? "warn" : operational.logLevel;
  const isDrawn = out.isInteractive && !flags.isSet("json");
  const logger = new LineLogger(err, {
    level: named ?? usual,
    // The view tells what became of a backend, in the same terminal.
    isToldElsewhere: (fields) => isDrawn && "backend" in fields && "state" in fields,
  });
  if (isDrawn) logger.hold();
  return { logger, release: () => logger.release() };
}
