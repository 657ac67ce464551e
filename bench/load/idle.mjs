// What sessions cost that nobody uses: heap, sockets, timers; and what they do to those that work beside them.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { startVmcp } from "./candidates.mjs";
import { socketsOf } from "./cpu-time.mjs";
import { format, held, told } from "./figures.mjs";
import { FOLDER, generate, OTHER_CORE, pathOf, startServer, stop, waitFor } from "./processes.mjs";

const BACKENDS = 3;
/** Opened first, so that what a gateway allocates once is not counted to the sessions. */
const WARMING = 100;
const SETTLE_MS = 2_000;
const REPORT_TIMEOUT_MS = 60_000;

export async function measure({ seconds, rounds, sessions, count = "10000", profile }, say) {
  const backend = await startServer([pathOf("backend.mjs")], { core: OTHER_CORE });
  const { origin } = new URL(backend.url);
  const gateway = await startProbed(
    origin,
    Number(count) + WARMING + Number(sessions) + 10,
    profile,
  );
  try {
    const run = async (args) => generate({ url: gateway.url, pids: gateway.pids() }, args);
    const load = async (length) =>
      run(["--mode", "calls", "--sessions", sessions, "--seconds", String(length)]);
    const runs = [
      await run(["--mode", "hold", "--sessions", String(WARMING)]),
      await load(seconds),
    ];
    const before = await settled(gateway);
    runs.push(await run(["--mode", "hold", "--sessions", count]));
    say(`opened ${count} sessions, ${format(runs.at(-1).perSecond, 0)} per second`);
    const after = await settled(gateway);
    await delay(Number(seconds) * 1000);
    const idle = await gateway.report();
    runs.push(await load(Number(seconds) * Number(rounds)));
    const busy = await gateway.report();
    return reportOf({ before, after, idle, busy, runs, count: Number(count) });
  } finally {
    await gateway.stop();
    await stop(backend);
  }
}

async function startProbed(origin, maxSessions, profile) {
  const file = join(FOLDER, "probe.json");
  const backends = Array.from(
    { length: BACKENDS },
    (_value, index) => `${origin}/b${index + 1}/mcp`,
  );
  const gateway = await startVmcp({
    backends,
    operational: { sessions: { maxSessions } },
    nodeArgs: ["--expose-gc", "--import", pathToFileURL(pathOf("probe.mjs")).href],
    env: { VMCP_BENCH_PROBE: file },
    profile,
  });
  const { pid } = gateway.child;
  const read = async () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined);
  return {
    ...gateway,
    /** What the probe tells, and the sockets that are open then. */
    async report() {
      rmSync(file, { force: true });
      process.kill(pid, "SIGUSR2");
      const report = await waitFor(read, REPORT_TIMEOUT_MS, "the probe did not report");
      return { ...report, sockets: socketsOf(pid) };
    },
  };
}

/** When the connections of the generator are closed and what they left is collected. */
async function settled(gateway) {
  await delay(SETTLE_MS);
  await gateway.report();
  await delay(200);
  return gateway.report();
}

function reportOf({ before, after, idle, busy, runs, count }) {
  const errors = runs.reduce((sum, each) => sum + each.errors, 0);
  const grown = (field) => (after[field] - before[field]) / count;
  const { firstError } = runs.find((each) => each.errors > 0) ?? {};
  const figures = [
    told("sessions", String(count)),
    held("heap per session after a collection", grown("heapUsed") / 1000, { atMost: 6 }, " KB"),
    told("buffers and other memory outside the heap per session", kb(grown("external"))),
    told("resident memory per session", kb(grown("rss"))),
    held("sockets per session", grown("sockets"), { atMost: 0.01 }, "", 3),
    held("timers per session", grown("timers"), { atMost: 0.01 }, "", 3),
    held("event-loop delay p99, nothing asked", idle.loop.p99Ms, { atMost: 20 }, " ms", 1),
    told("event-loop delay p99 under calls at full speed", `${format(busy.loop.p99Ms)} ms`),
    held(
      "longest pause for garbage collection under calls",
      busy.pauses.maxMs,
      { atMost: 50 },
      " ms",
      1,
    ),
    told("sessions opened per second, listing included", format(runs[2].perSecond, 0)),
    told("calls per second beside them", format(runs[3].perSecond, 0)),
    held(`errors ${firstError ?? ""}`.trim(), errors, { atMost: 0 }, "", 0),
  ];
  return { figures, errors };
}

function kb(bytes) {
  return `${format(bytes / 1000)} KB`;
}
