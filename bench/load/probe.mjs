// Loaded into a gateway before the gateway itself: on SIGUSR2 writes what nobody can see from outside into the file that
// VMCP_BENCH_PROBE names, and begins anew. Opens no port and holds no timer that the gateway's own could be taken for.
import { renameSync, writeFileSync } from "node:fs";
import { constants, monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import process from "node:process";

const file = process.env.VMCP_BENCH_PROBE;
const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

const pauses = { count: 0, maxMs: 0, totalMs: 0 };
const observer = new PerformanceObserver((list) => note(list.getEntries()));
observer.observe({ entryTypes: ["gc"] });

process.on("SIGUSR2", () => {
  note(observer.takeRecords());
  const loop = { p99Ms: lateness(delay.percentile(99)), maxMs: lateness(delay.max) };
  const collected = { ...pauses };
  // What the first one frees may hold on to more by a finalizer.
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const report = { heapUsed, external, arrayBuffers, rss, timers, loop, pauses: collected };
  writeFileSync(`${file}.new`, JSON.stringify(report));
  renameSync(`${file}.new`, file);
  Object.assign(pauses, { count: 0, maxMs: 0, totalMs: 0 });
  setImmediate(() => delay.reset());
});

/** Collections that were asked for are not the gateway's. */
function note(entries) {
  for (const { duration, detail } of entries) {
    if ((detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) continue;
    pauses.count += 1;
    pauses.totalMs += duration;
    pauses.maxMs = Math.max(pauses.maxMs, duration);
  }
}

/** The histogram holds the time between two looks, of which the resolution is none. */
function lateness(nanos) {
  return Math.max(0, nanos / 1e6 - RESOLUTION_MS);
}
