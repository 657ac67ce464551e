// Client sessions against one endpoint. Every answer is checked. Prints one line of JSON.
//   node loadgen.mjs --url URL [--mode calls] [--sessions 64] [--seconds 2] [--warmup 0.5] [--tool echo] [--size 200] [--transport http|sse] [--forwarded] [--pids 1,2]
// Modes, by what one answer is:
//   calls    tools/call, each session in a closed loop         lists    tools/list, likewise
//   lists-plain  as lists, by a client that does not read gzip
//   lives    initialize, initialized, tools/list, one call, DELETE
//   starts   initialize alone; what is needed around it (initialized, DELETE) is not counted
//   burst    one initialize of every session, all at once; runs until all are answered
//   hold     as burst but 32 at a time, and the sessions are left open without a connection
// With --forwarded each session of one worker uses the connection of one of another worker, which passes its requests on.
// With --pids (Linux) `cpuMicros` is the CPU time per answer that those processes took in the measured window, and
// `waitedShare` how much of it they were ready to run and had no CPU.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quantile } from "./figures.mjs";
import { LoadSession } from "./load-session.mjs";
import { cpuMicros, waitedMicros } from "./cpu-time.mjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    mode: { type: "string", default: "calls" },
    sessions: { type: "string", default: "64" },
    seconds: { type: "string", default: "2" },
    warmup: { type: "string", default: "0.5" },
    tool: { type: "string", default: "echo" },
    size: { type: "string", default: "200" },
    transport: { type: "string", default: "http" },
    forwarded: { type: "boolean", default: false },
    pids: { type: "string", default: "" },
  },
});
const size = Number(options.size);
const pids = options.pids.split(",").filter(Boolean);

const TEXT = "x".repeat(size);
const WORK = new Map([
  ["echo", { args: { text: TEXT }, expected: TEXT }],
  ["stream", { args: { text: TEXT }, expected: TEXT }],
  ["big", { args: { bytes: size }, expected: TEXT }],
  ["swallow", { args: { text: TEXT }, expected: String(size) }],
  ["steps", { args: { count: size }, expected: String(size), steps: size }],
]);
/** A session that fails waits, so that a gateway that refuses is not flooded. */
const PAUSE_AFTER_ERROR_MS = 20;
const HELD_AT_ONCE = 32;

const latenciesMs = [];
let errors = 0;
let firstError;
const phase = { isMeasuring: false, isOver: false };

/** What each session does over and over between its beginning and its end. */
const LOOPS = new Map([
  ["calls", { setUp: open, step: (session) => timed(() => session.call()), tearDown: end }],
  ["lists", { setUp: openWithList, step: listCompressed, tearDown: end }],
  ["lists-plain", { setUp: open, step: (session) => timed(() => session.list()), tearDown: end }],
  ["lives", { step: live, afterError: close }],
  ["starts", { step: start, afterError: close }],
]);

const work = { tool: options.tool, ...WORK.get(options.tool) };
const sessions = Array.from(
  { length: Number(options.sessions) },
  () => new LoadSession(new URL(options.url), work, options.transport),
);
const loop = LOOPS.get(options.mode);
const measured = await (loop === undefined ? openAll() : runLoops(loop));
for (const session of sessions) session.close();
console.log(JSON.stringify(summary(measured)));

async function runLoops({ setUp, step, tearDown, afterError }) {
  if (setUp !== undefined) await Promise.all(sessions.map(setUp));
  if (options.forwarded) crossConnections();
  const loops = sessions.map(async (session) => {
    while (!phase.isOver) {
      const isFine = await guarded(() => step(session));
      if (!isFine) afterError?.(session);
    }
  });
  const window = await measureWindow();
  await Promise.all(loops);
  if (tearDown !== undefined) await Promise.allSettled(sessions.map(tearDown));
  return window;
}

/** A connection belongs to the worker that made the session for which it was opened. */
function crossConnections() {
  const [first, second] = [0, 1].map((worker) => sessions.filter(({ owner }) => owner === worker));
  if (first.length !== second.length || first.length * 2 !== sessions.length)
    throw new Error(`two workers have ${first.length} and ${second.length} sessions, not the same`);
  for (const [index, session] of first.entries()) session.swapConnections(second[index]);
}

async function openAll() {
  const isHeld = options.mode === "hold";
  phase.isMeasuring = true;
  const before = readClocks();
  const waiting = [...sessions];
  const openers = Array.from({ length: isHeld ? HELD_AT_ONCE : sessions.length }, async () => {
    for (let session = waiting.pop(); session !== undefined; session = waiting.pop()) {
      await guarded(() => timed(() => session.initialize()));
      if (!isHeld) continue;
      await guarded(async () => {
        await session.ready();
        await session.list();
      });
      session.close();
    }
  });
  await Promise.all(openers);
  const window = clocksSince(before);
  if (!isHeld) await Promise.allSettled(sessions.map(end));
  return window;
}

async function open(session) {
  await session.open();
}

/** What is compressed later is compared with what was not. */
async function openWithList(session) {
  await session.open();
  await session.list();
}

async function end(session) {
  await session.end();
}

async function listCompressed(session) {
  await timed(() => session.list({ readsGzip: true }));
}

function close(session) {
  session.close();
}

async function live(session) {
  await timed(async () => {
    await session.open();
    await session.call();
    await session.end();
  });
}

async function start(session) {
  await timed(() => session.initialize());
  await session.ready();
  await session.end();
}

async function timed(step) {
  const startMs = performance.now();
  await step();
  if (phase.isMeasuring) latenciesMs.push(performance.now() - startMs);
}

/** Whether the step went well; if not, it is counted. */
async function guarded(step) {
  try {
    await step();
    return true;
  } catch (error) {
    errors += 1;
    firstError ??= error.message;
    await delay(PAUSE_AFTER_ERROR_MS);
    return false;
  }
}

async function measureWindow() {
  await delay(Number(options.warmup) * 1000);
  const before = readClocks();
  phase.isMeasuring = true;
  await delay(Number(options.seconds) * 1000);
  phase.isMeasuring = false;
  phase.isOver = true;
  return clocksSince(before);
}

/** Not a number where /proc does not tell, which JSON writes as null. */
function readClocks() {
  return { wallMs: performance.now(), cpu: total(cpuMicros), waited: total(waitedMicros) };
}

function total(read) {
  return pids.reduce((sum, pid) => sum + (read(pid) ?? Number.NaN), 0);
}

function clocksSince(before) {
  const now = readClocks();
  return {
    seconds: (now.wallMs - before.wallMs) / 1000,
    cpu: now.cpu - before.cpu,
    waited: now.waited - before.waited,
  };
}

function summary({ seconds, cpu, waited }) {
  const answers = latenciesMs.length;
  return {
    answers,
    errors,
    firstError,
    perSecond: answers / seconds,
    cpuMicros: pids.length === 0 ? undefined : cpu / answers,
    waitedShare: pids.length === 0 ? undefined : waited / (seconds * 1e6),
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    maxMs: quantile(latenciesMs, 1),
  };
}
