// The soak: sessions come, call and go for as long as one likes while backends break, and afterwards everything that must
// hold is checked. Started by scripts/soak.mjs; every option is described there.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type FaultProxy, startFaultProxy } from "../../test/support/fault-proxy.ts";
import { History } from "../../test/support/history.ts";
import { checkInvariants, holdingsOf } from "../../test/support/invariants.ts";
import { type ProbedVmcp, startProbedVmcp } from "../../test/support/probed-vmcp.ts";
import { waitFor } from "../../test/support/quiescence.ts";
import { SeededRandom } from "../../test/support/seeded-random.ts";
import { type LivesTally, playLives } from "./lives.ts";
import { contentsOf } from "./heap-snapshot.ts";
import { SoakBackend } from "./soak-backend.ts";
import {
  childFaults,
  configFaults,
  networkFaults,
  scriptedFaults,
  type SoakFault,
} from "./soak-faults.ts";
import { brokenInvariants, printMinute, printVerdict, type RestHoldings } from "./verdict.ts";
import { type HealthTally, type Sample, stolenMsOf, takeSamples, watchHealth } from "./watch.ts";

const { values: options } = parseArgs({
  options: {
    bin: { type: "string", default: "" },
    program: { type: "string", default: "" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    churn: { type: "string", default: "1" },
    "fault-every": { type: "string", default: "20" },
    "fault-lasts": { type: "string", default: "6" },
    warmup: { type: "string", default: "300" },
    "sample-every": { type: "string", default: "20" },
    only: { type: "string", default: "" },
  },
});

const TIMEOUTS = { connect: "1s", start: "3s", call: "4s", callMax: "8s" };
/** A call's deadline, what its steps of progress extend it by, and half a second. */
const CALL_DEADLINE_MS = 4_000 + 300 + 500;
const SETTLE_MS = 45_000;
/** The heap of a gateway at rest, an hour and many sessions later. */
const MAX_HEAP_GROWTH = 0.1;
const MAX_LIVES = 64;
/** Until most of the code that an hour runs is compiled: sessions come more often than later, and each fault strikes once. */
const WARMUP_CHURN = 3;
const WARMUP_FAULT_EVERY_MS = 4_000;
/** After the last fault, what it struck gets this long to be found sound again. */
const QUIET_MS = 10_000;
/** Then sessions come and go for this long and nothing breaks. */
const SOUND_MS = 30_000;

const folder = mkdtempSync(join(tmpdir(), "vmcp-soak-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const stopAsked = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stopAsked.abort());
process.exitCode = await main();

async function main(): Promise<number> {
  const random = new SeededRandom(Number(options.seed));
  const made = (name: string, transport: "http" | "sse" | "stdio"): SoakBackend =>
    new SoakBackend({ name, transport, program: options.program, folder });
  await using http = made("http", "http");
  await using sse = made("sse", "sse");
  await using stdio = made("stdio", "stdio");
  const backends = [http, sse, stdio];
  await Promise.all(backends.map(async (backend) => backend.start()));
  await using toHttp = await startFaultProxy(http.port);
  await using toSse = await startFaultProxy(sse.port);
  const config = configOf(toHttp, toSse, stdio, []);
  const changed = configOf(toHttp, toSse, stdio, [
    { name: "extra", url: toHttp.url("/mcp"), timeouts: TIMEOUTS },
  ]);
  await using gateway = await startProbedVmcp({
    config: JSON.stringify(config),
    bin: options.bin,
    args: ["--log-level", "warn"],
  });
  let isOver = false;
  void gateway.process.exited.then(({ code, signal, stdout, stderr }) => {
    writeFileSync("../gateway.log", `${stdout}\n${stderr}`);
    if (isOver) return;
    say(`[I10] the gateway ended by itself: ${signal ?? code}\n${stderr.slice(-5_000)}`);
    process.exit(1);
  });
  const all = [
    ...networkFaults(http, toHttp),
    ...networkFaults(sse, toSse),
    ...backends.flatMap(scriptedFaults),
    ...childFaults(gateway.pid),
    ...configFaults(gateway.pid, gateway.process.configFile ?? "", config, changed),
  ];
  const faults = all.filter(({ name }) => new RegExp(options.only).test(name));
  const run = async (
    history: History,
    tally: LivesTally,
    ms: number,
    faultEveryMs: number,
    { churn = Number(options.churn), faultsInTurn = false } = {},
  ) => {
    // A signal made of others may be collected before it fires: one of our own is not.
    const ending = new AbortController();
    const { signal } = ending;
    const end = (): void => ending.abort();
    const timer = setTimeout(end, ms);
    stopAsked.signal.addEventListener("abort", end, { once: true });
    const lives = playLives(
      {
        url: gateway.url,
        history,
        backends: backends.map(({ name }) => name),
        churn,
        maxLives: MAX_LIVES,
        deadlineMs: CALL_DEADLINE_MS,
        stolenMs: () => stolenMsOf(gateway.pid),
        random: random.fork(),
      },
      tally,
      signal,
    );
    const struck = await breakThings(faults, faultEveryMs, random.fork(), signal, faultsInTurn);
    await lives;
    clearTimeout(timer);
    return struck;
  };

  say(`seed ${options.seed}: warming up for ${options.warmup} s`);
  await run(
    new History("warm"),
    emptyTally(),
    Number(options.warmup) * 1_000,
    WARMUP_FAULT_EVERY_MS,
    { churn: Number(options.churn) * WARMUP_CHURN, faultsInTurn: true },
  );
  const warm = await holdingsAtRest();
  say(`at rest: ${JSON.stringify(warm)}`);

  async function holdingsAtRest(): Promise<RestHoldings> {
    const any = { descriptors: 1e9, sockets: 1e9, handles: 1e9, heapBytes: 1e12 };
    const idle = { ...any, children: 0, sessions: 0 };
    const left = await checkInvariants(gateway, idle, { settleMs: SETTLE_MS });
    if (left.length > 0) say(`not at rest after the warm-up: ${left.join("; ")}`);
    // Idle connections to backends are closed last.
    await delay(10_000);
    return restHoldingsOf(gateway);
  }

  const history = new History(`soak${options.seed}`);
  const tally = emptyTally();
  const health: HealthTally = { asked: 0, slowestMs: 0, bad: [] };
  const samples: Sample[] = [];
  const watching = new AbortController();
  let reportedMinutes = 0;
  const watches = Promise.all([
    watchHealth(gateway, health, watching.signal),
    takeSamples(gateway, Number(options["sample-every"]) * 1_000, watching.signal, (sample) => {
      samples.push(sample);
      const minutes = Math.floor(sample.atMs / 60_000);
      if (minutes <= reportedMinutes) return;
      reportedMinutes = minutes;
      printMinute({ minutes, sample, tally, health, history });
    }),
  ]);
  const startMs = performance.now();
  const minutes = Number(options.minutes);
  const struck = await run(
    history,
    tally,
    minutes * 60_000,
    Number(options["fault-every"]) * 1_000,
  );
  await delay(QUIET_MS);
  const soundSinceMs = Date.now();
  await run(history, tally, SOUND_MS, Number.POSITIVE_INFINITY);
  const ranMs = performance.now() - startMs;
  watching.abort();
  await watches;

  say("everybody has left; waiting for the gateway to come to rest");
  const left = await checkInvariants(gateway, warm, {
    settleMs: SETTLE_MS,
    heapGrowth: MAX_HEAP_GROWTH,
    loopDelayP99Ms: Number.POSITIVE_INFINITY,
  });
  const openSessions = await sessionsLeft([http, sse], soundSinceMs);
  const atRest = await restHoldingsOf(gateway);
  isOver = true;
  const exit = await gateway.process.stop("SIGTERM");
  const executions = backends
    .flatMap((backend) => backend.executions)
    .filter(({ nonce }) => history.isOwn(nonce));
  const findings = {
    ranMs,
    struck,
    history,
    executions,
    tally,
    health,
    samples,
    warm,
    atRest,
    left,
    openSessions,
    exitCode: exit.code,
    stderr: exit.stderr,
  };
  printVerdict(findings);
  return brokenInvariants(findings).length === 0 ? 0 : 1;
}

async function restHoldingsOf(gateway: ProbedVmcp): Promise<RestHoldings> {
  const holdings = await holdingsOf(gateway);
  const file = join(folder, "heap.heapsnapshot");
  await gateway.writeHeapSnapshot(file);
  return { ...holdings, contents: contentsOf(file) };
}

function configOf(
  toHttp: FaultProxy,
  toSse: FaultProxy,
  stdio: SoakBackend,
  more: readonly object[],
): object {
  const restart = { backoffMin: "200ms", backoffMax: "1s", budget: 1000, window: "1m" };
  return {
    backends: [
      { name: "http", url: toHttp.url("/mcp"), timeouts: TIMEOUTS },
      { name: "sse", transport: "sse", url: toSse.url("/sse"), timeouts: TIMEOUTS },
      {
        name: "stdio",
        command: process.execPath,
        args: [...stdio.args],
        timeouts: TIMEOUTS,
        restart,
      },
      ...more,
    ],
    aggregation: { conflictResolution: "prefix" },
    operational: {
      sessionManagementV2: true,
      sessions: { idleTtl: "15s", startDeadline: "3s", drainDeadline: "3s", shutdownGrace: "1s" },
      failureHandling: {
        healthCheckInterval: "5s",
        healthCheckTimeout: "2s",
        circuitBreaker: { timeout: "3s" },
      },
    },
  };
}

/** One fault after the other; returns what struck, in order. All is healed when it resolves. */
async function breakThings(
  faults: readonly SoakFault[],
  everyMs: number,
  random: SeededRandom,
  signal: AbortSignal,
  inTurn: boolean,
): Promise<readonly string[]> {
  const struck: string[] = [];
  if (everyMs === Number.POSITIVE_INFINITY) return struck;
  const lastMs = Math.min(Number(options["fault-lasts"]) * 1_000, everyMs / 2);
  while (!signal.aborted) {
    const fault =
      (inTurn ? faults[struck.length % faults.length] : undefined) ?? random.pick(faults);
    // Faults come one after the other.
    // oxlint-disable no-await-in-loop
    await delay(everyMs - lastMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    struck.push(fault.name);
    say(`fault: ${fault.name}`);
    fault.strike(random);
    await delay(lastMs);
    await fault.heal();
    // oxlint-enable no-await-in-loop
  }
  return struck;
}

/** Sessions that backends still hold when the gateway had time to end them. */
interface OpenSessions {
  /** Those that were opened after the last fault: nothing kept the gateway from ending them. */
  readonly sound: number;
  /** Those that were opened while things broke: the word that they ended may have been lost with its connection. */
  readonly orphans: number;
}

async function sessionsLeft(
  backends: readonly SoakBackend[],
  sinceMs: number,
): Promise<OpenSessions> {
  let open: readonly number[] = [];
  const isEmpty = async (): Promise<boolean> => {
    open = (await Promise.all(backends.map(async (backend) => backend.openSessions()))).flat();
    return open.every((openedAtMs) => openedAtMs < sinceMs);
  };
  // One that was told to die may be on its way back.
  const patiently = async (): Promise<boolean> => isEmpty().catch(() => false);
  await waitFor(patiently, { timeoutMs: 10_000, intervalMs: 500 }).catch(() => {});
  const sound = open.filter((openedAtMs) => openedAtMs >= sinceMs).length;
  return { sound, orphans: open.length - sound };
}

function emptyTally(): LivesTally {
  return { begun: 0, living: 0, refused: 0, calls: 0, slowestMs: 0, late: [] };
}

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
}
