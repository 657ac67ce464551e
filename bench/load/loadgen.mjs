// Sessions in closed loops against one endpoint. Every answer is checked. Prints one line of JSON.
//   node loadgen.mjs --url URL [--sessions 64] [--seconds 2] [--warmup 0.5] [--tool echo] [--bytes 200] [--churn] [--pids 1,2]
// With --churn an answer is a whole life: initialize, initialized, tools/list, one call, DELETE.
// With --pids (Linux) `cpuMicros` is the CPU time per answer that those processes took in the measured window.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { LoadSession } from "./load-session.mjs";
import { cpuMicros } from "./processes.mjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    sessions: { type: "string", default: "64" },
    seconds: { type: "string", default: "2" },
    warmup: { type: "string", default: "0.5" },
    tool: { type: "string", default: "echo" },
    bytes: { type: "string", default: "200" },
    churn: { type: "boolean", default: false },
    pids: { type: "string", default: "" },
  },
});
const bytes = Number(options.bytes);
const pids = options.pids.split(",").filter(Boolean);

const WORK = new Map([
  ["echo", { args: { text: "x".repeat(bytes) }, expected: "x".repeat(bytes) }],
  ["big", { args: { bytes }, expected: "x".repeat(bytes) }],
  ["swallow", { args: { text: "x".repeat(bytes) }, expected: String(bytes) }],
]);
/** A session that fails waits, so that a gateway that refuses is not flooded. */
const PAUSE_AFTER_ERROR_MS = 20;

const latenciesMs = [];
let errors = 0;
let firstError;
const phase = { isMeasuring: false, isOver: false };

const work = { tool: options.tool, ...WORK.get(options.tool) };
const sessions = Array.from(
  { length: Number(options.sessions) },
  () => new LoadSession(new URL(options.url), work),
);
if (!options.churn) await Promise.all(sessions.map((session) => session.open()));
const loops = sessions.map(options.churn ? liveAgainAndAgain : callAgainAndAgain);
const window = await measure();
await Promise.all(loops);
if (!options.churn) await Promise.allSettled(sessions.map((session) => session.end()));
for (const session of sessions) session.close();
console.log(JSON.stringify(summary(window)));

async function callAgainAndAgain(session) {
  while (!phase.isOver) await timed(() => session.call());
}

async function liveAgainAndAgain(session) {
  while (!phase.isOver)
    await timed(
      async () => {
        await session.open();
        await session.call();
        await session.end();
      },
      () => session.close(),
    );
}

async function timed(step, afterError = () => {}) {
  const start = performance.now();
  try {
    await step();
    if (phase.isMeasuring) latenciesMs.push(performance.now() - start);
  } catch (error) {
    errors += 1;
    firstError ??= error.message;
    afterError();
    await delay(PAUSE_AFTER_ERROR_MS);
  }
}

async function measure() {
  await delay(Number(options.warmup) * 1000);
  const [start, cpuBefore] = [performance.now(), totalCpuMicros()];
  phase.isMeasuring = true;
  await delay(Number(options.seconds) * 1000);
  phase.isMeasuring = false;
  phase.isOver = true;
  return { seconds: (performance.now() - start) / 1000, cpu: totalCpuMicros() - cpuBefore };
}

/** Not a number where /proc does not tell, which JSON writes as null. */
function totalCpuMicros() {
  return pids.map((pid) => cpuMicros(pid) ?? Number.NaN).reduce((sum, each) => sum + each, 0);
}

function summary({ seconds, cpu }) {
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  const answers = sorted.length;
  return {
    answers,
    errors,
    firstError,
    perSecond: answers / seconds,
    cpuMicros: pids.length === 0 ? undefined : cpu / answers,
    p50Ms: sorted[Math.floor(answers * 0.5)],
    p99Ms: sorted[Math.floor(answers * 0.99)],
  };
}
