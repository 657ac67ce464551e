import { rmSync } from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { Vmcp } from "../../app/vmcp.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import { workerShareOf } from "../../config/worker-share.ts";
import { VmcpError } from "../../domain/errors.ts";
import type { LogFields, Logger } from "../../domain/logger.ts";
import { createLogger, type LogLevel } from "../../telemetry/logger.ts";
import { WorkerChannel } from "../../workers/worker-channel.ts";
import { WorkerSeat } from "../../workers/worker-seat.ts";
import { EXIT } from "../exit-codes.ts";
import { reportFailure } from "../failures.ts";
import { exitAtTheLatest } from "../stop-signals.ts";
import type { Terminal } from "../terminal.ts";
import type { WorkerNews, WorkerTask } from "./worker-messages.ts";

type Channel = WorkerChannel<WorkerTask, WorkerNews>;

/**
 * Runs one of the gateways that `vmcp serve --workers` consists of, until its supervisor has it stop, and resolves
 * with the exit code. Ends the process, its children included, when the supervisor has ended. Never rejects.
 */
export async function runWorker(terminal: Terminal): Promise<number> {
  using channel = await WorkerChannel.open<WorkerTask, WorkerNews>((place) => {
    if (place !== undefined) rmSync(place.folder, { recursive: true, force: true });
    process.exit(EXIT.terminated);
  });
  try {
    await serveUntilStopped(channel);
    return EXIT.ok;
  } catch (error) {
    return tellFailure(error, channel, terminal);
  }
}

async function serveUntilStopped(channel: Channel): Promise<void> {
  const { place, task } = channel;
  if (task.kind !== "serve") throw new VmcpError("internal", "a worker was not told what to serve");
  const share = (config: VmcpConfig): VmcpConfig => workerShareOf(config, place.index, place.count);
  const config = share(task.config);
  const { keepAliveTimeoutMs } = config.limits;
  const onOpen = (): void => channel.announceOpen();
  using seat = new WorkerSeat(place, { keepAliveTimeoutMs, onOpen });
  await using vmcp = await Vmcp.create(config, {
    logger: chooseLogger(channel, task.logLevel),
    seat,
    onBackendHealth: ({ name, state, toolCount, reason }) =>
      channel.tell({ kind: "health", report: { name, state, toolCount, reason } }),
  });
  const stopped = new Promise<number>((resolve) => {
    channel.listen({
      onConnection: (socket, firstBytes) => seat.take(socket, firstBytes),
      onTask: (next) => {
        if (next.kind === "stop") resolve(next.graceMs);
        if (next.kind === "reloadRefused") vmcp.reloadRefused(next.code);
        if (next.kind === "reload") {
          void reload(vmcp, { ...next, config: share(next.config) }, channel);
        }
      },
    });
  });
  await vmcp.listen();
  void tellReady(vmcp, config, channel);
  const graceMs = await stopped;
  channel.tell({ kind: "draining", sessions: vmcp.sessions.sessionCount });
  exitAtTheLatest(graceMs + vmcp.drainDeadlineMs, EXIT.ok);
  await vmcp.close({ graceMs });
}

async function reload(
  vmcp: Vmcp,
  { number, config }: Extract<WorkerTask, { kind: "reload" }>,
  channel: Channel,
): Promise<void> {
  try {
    channel.tell({ kind: "reloaded", number, report: await vmcp.reload({ config }) });
  } catch (error) {
    const { code, message } = VmcpError.from(error);
    channel.tell({ kind: "notReloaded", number, code, message });
  }
}

/** A backend that is slow to start must not keep others from hearing that the rest is there. */
async function tellReady(vmcp: Vmcp, config: VmcpConfig, channel: Channel): Promise<void> {
  const { startDeadlineMs } = config.operational.sessions;
  await Promise.race([vmcp.probed(), delay(startDeadlineMs, undefined, { ref: false })]);
  channel.tell({ kind: "ready" });
}

function tellFailure(error: unknown, channel: Channel, terminal: Terminal): number {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const exitCode = reportFailure(error, { ...terminal, err: { ...terminal.err, write } });
  channel.tell({ kind: "failed", exitCode, text });
  return exitCode;
}

/** Every line says which worker it is from. How backends are is the first worker's to tell: all see the same. */
function chooseLogger(channel: Channel, level: LogLevel | undefined): Logger {
  const { index } = channel.place;
  const base = level === undefined ? forwardingLogger(channel) : createLogger(level);
  const log =
    (name: keyof Logger) =>
    (message: string, fields: LogFields = {}): void => {
      if (index > 0 && "backend" in fields && "state" in fields) return;
      base[name](message, { worker: index + 1, ...fields });
    };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

function forwardingLogger(channel: Channel): Logger {
  const log =
    (level: keyof Logger) =>
    (message: string, fields: LogFields = {}): void =>
      channel.tell({ kind: "log", level, message, fields });
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}
