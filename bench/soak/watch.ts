import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { ProbedVmcp } from "../../test/support/probed-vmcp.ts";
import {
  listChildren,
  openDescriptors,
  openSockets,
  zombiesOf,
} from "../../test/support/quiescence.ts";
import { sendRaw } from "../../test/support/raw-client.ts";

const CPUS = availableParallelism();

/** What a gateway held and how it felt at one moment under load. */
export interface Sample {
  /** Since the start. */
  readonly atMs: number;
  readonly heapBytes: number;
  /** The part of it that V8 has compiled. */
  readonly codeBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly children: number;
  readonly zombies: number;
  readonly loopDelayP99Ms: number;
  /** Share of the time since the sample before in which the gateway was ready to run and had no CPU. */
  readonly stolenShare: number;
}

/**
 * How long the gateway and we ourselves could not run, so far: because others had the CPU, because the machine on which
 * this virtual one runs took it away, or because a page of a program had to be read from disk again.
 */
export function stolenMsOf(pid: number): number {
  const waited = waitedMs(pid) + waitedMs(process.pid) + takenByHostMs();
  return waited + readingMs(pid) + readingMs(process.pid);
}

/** Looks at the gateway every `everyMs` until the signal, after a collection. */
export async function takeSamples(
  gateway: ProbedVmcp,
  everyMs: number,
  signal: AbortSignal,
  onSample: (sample: Sample) => void,
): Promise<void> {
  const startMs = performance.now();
  let stolen = waitedMs(gateway.pid) + takenByHostMs() / CPUS;
  let lastMs = startMs;
  while (!signal.aborted) {
    // Samples follow one another.
    // oxlint-disable-next-line no-await-in-loop
    await delay(everyMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    // oxlint-disable-next-line no-await-in-loop
    const { heapBytes, codeBytes, rssBytes, loopDelayP99Ms } = await gateway.report();
    const nowMs = performance.now();
    const stolenNow = waitedMs(gateway.pid) + takenByHostMs() / CPUS;
    onSample({
      atMs: nowMs - startMs,
      heapBytes,
      codeBytes,
      rssBytes,
      loopDelayP99Ms,
      descriptors: openDescriptors(gateway.pid),
      sockets: openSockets(gateway.pid).length,
      children: listChildren(gateway.pid).length,
      zombies: zombiesOf(gateway.pid).length,
      stolenShare: (stolenNow - stolen) / (nowMs - lastMs),
    });
    stolen = stolenNow;
    lastMs = nowMs;
  }
}

export interface HealthTally {
  asked: number;
  slowestMs: number;
  /** Answers that were later than `MAX_HEALTH_MS` by the gateway's own doing, or missing. One sentence each. */
  readonly bad: string[];
}

const MAX_HEALTH_MS = 250;
const HEALTH_EVERY_MS = 1_000;

/**
 * Asks for `/health` every second until the signal. Time without a CPU is not counted against the gateway, be it the
 * gateway's own or that of whoever asks.
 */
export async function watchHealth(
  { origin, pid }: ProbedVmcp,
  tally: HealthTally,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const startMs = performance.now();
    const stolenBefore = stolenMsOf(pid);
    // One question after the other.
    // oxlint-disable-next-line no-await-in-loop
    const status = await sendRaw(`${origin}/health`).then(
      (answer) => answer.status,
      () => undefined,
    );
    const tookMs = performance.now() - startMs;
    const ownMs = tookMs - (stolenMsOf(pid) - stolenBefore);
    tally.asked += 1;
    tally.slowestMs = Math.max(tally.slowestMs, tookMs);
    if (status !== 200 || ownMs > MAX_HEALTH_MS) {
      const at = new Date().toISOString().slice(11, 19);
      const took = `${Math.round(tookMs)} ms, ${Math.round(ownMs)} of them its own`;
      tally.bad.push(`${at} ${status ?? "no answer"} after ${took}`);
    }
    // oxlint-disable-next-line no-await-in-loop
    await delay(HEALTH_EVERY_MS, undefined, { signal }).catch(() => {});
  }
}

export interface Slope {
  readonly mbPerHour: number;
  /** Half of the interval that holds the true slope in 95 of 100 runs. */
  readonly plusMinus: number;
}

/** The heap without compiled code, which grows with what was run and not with what is kept. */
function dataBytesOf({ heapBytes, codeBytes }: Sample): number {
  return heapBytes - codeBytes;
}

/** The least-squares line through what the last four fifths held. Undefined for fewer than ten samples. */
export function heapSlope(
  samples: readonly Sample[],
  bytesOf: (sample: Sample) => number = dataBytesOf,
): Slope | undefined {
  const points = samples
    .slice(Math.floor(samples.length / 5))
    .map((sample) => ({ x: sample.atMs / 3_600_000, y: bytesOf(sample) / 2 ** 20 }));
  if (points.length < 10) return undefined;
  const meanX = meanOf(points.map(({ x }) => x));
  const meanY = meanOf(points.map(({ y }) => y));
  const spread = sumOf(points.map(({ x }) => (x - meanX) ** 2));
  const slope = sumOf(points.map(({ x, y }) => (x - meanX) * (y - meanY))) / spread;
  const residual = sumOf(points.map(({ x, y }) => (y - meanY - slope * (x - meanX)) ** 2));
  const deviation = Math.sqrt(residual / (points.length - 2) / spread);
  return { mbPerHour: slope, plusMinus: 1.96 * deviation };
}

/**
 * The main thread's wait, and the longest of another thread: in a collection the main thread sleeps until its helpers
 * have had their turn.
 */
function waitedMs(pid: number): number {
  try {
    const others = readdirSync(`/proc/${pid}/task`).filter((task) => task !== String(pid));
    const longest = Math.max(0, ...others.map((task) => threadWaitedMs(pid, task)));
    return threadWaitedMs(pid, String(pid)) + longest;
  } catch {
    return 0;
  }
}

/**
 * Of all CPUs together, since nobody knows from whom it was taken; 0 on a machine that is none of several. To the
 * kernel a thread runs while its CPU is away, so that this is no part of what it waits.
 */
function takenByHostMs(): number {
  try {
    const [all = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
    // "cpu", user, nice, system, idle, iowait, irq, softirq, steal: in hundredths of a second.
    return Number(all.split(/\s+/)[8] ?? 0) * 10;
  } catch {
    return 0;
  }
}

/**
 * How long a process waited for a disk; 0 where the kernel does not count that (`kernel.task_delayacct`). The gateway
 * itself reads no file while it serves, but for a configuration that changed.
 */
function readingMs(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // Of the fields behind the name in brackets, which may hold anything, "delayacct_blkio_ticks" is the fortieth.
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[39] ?? 0) * 10;
  } catch {
    return 0;
  }
}

/** What the kernel counts for a thread, in nanoseconds: on a CPU, waiting for one, and turns. */
function threadWaitedMs(pid: number, task: string): number {
  const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1");
  return Number(text.split(" ")[1] ?? 0) / 1e6;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function meanOf(values: readonly number[]): number {
  return sumOf(values) / values.length;
}
