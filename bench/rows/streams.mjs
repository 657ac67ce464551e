import {
  delay,
  megabytes,
  milliseconds,
  startBackend,
  startGateway,
  stolenSince,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "5,000 idle streams, one per session, with a keep-alive each 15 s; then SIGTERM";

const STREAMS = 5_000;
/** Two turns of 15 s, and what a busy machine needs to deliver them. */
const WATCH_MS = 32_000;
const MAX_HEAP_PER_STREAM = 10 * 1_024;
const AT_ONCE = 100;

/** The backend has no stream of its own (405), so that what is measured is the client's. */
export async function run() {
  const backend = await startBackend(["--no-streams"]);
  const gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    operational: { sessions: { maxSessions: STREAMS + 10, unusedTtl: "30m", shutdownGrace: "0s" } },
    wrap: ["prlimit", "--nofile=16384"],
  });
  const agent = newAgent();
  const sessions = Array.from({ length: STREAMS }, () => new Session(gateway.url, { agent }));
  await inTurns(sessions, async (session) => session.open());
  // What the connections of that load cost must not count as saved by the streams.
  await delay(6_000);
  const before = await gateway.report();
  const streams = [];
  await inTurns(sessions, async (session) => streams.push(watchStream(await session.openStream())));
  const withStreams = await gateway.report();
  const stolen = stolenSince(gateway.pid);
  await delay(WATCH_MS);
  const { loopDelayP99Ms } = await gateway.report();
  const stolenShare = stolen();
  const seen = streams.filter(({ keepAlives }) => keepAlives > 0).length;
  const open = streams.filter(({ end }) => end === undefined).length;

  const startMs = performance.now();
  const code = await gateway.stop();
  const tookMs = performance.now() - startMs;
  const clean = streams.filter(({ end }) => end === "clean").length;
  const hinted = streams.filter(({ hasRetryHint }) => hasRetryHint).length;
  agent.destroy();
  const perStream = (withStreams.heapBytes - before.heapBytes) / STREAMS;
  return [
    {
      what: "streams",
      figure: `${open} of ${STREAMS} open after ${WATCH_MS / 1_000} s`,
      limit: "all",
      isMet: open === STREAMS,
    },
    {
      what: "heap per stream",
      figure: `${(perStream / 1_024).toFixed(1)} KiB (${megabytes(before.heapBytes)} → ${megabytes(withStreams.heapBytes)})`,
      limit: "≤ 10 KiB",
      isMet: perStream <= MAX_HEAP_PER_STREAM,
    },
    {
      what: "heap per session without its stream",
      figure: `${(before.heapBytes / STREAMS / 1_024).toFixed(1)} KiB at most`,
    },
    { what: "resident memory", figure: megabytes(withStreams.rssBytes) },
    {
      what: "streams that saw a keep-alive",
      figure: String(seen),
      limit: "all",
      isMet: seen === STREAMS,
    },
    {
      what: "event loop delay p99",
      figure: `${milliseconds(loopDelayP99Ms)}; without a CPU ${(stolenShare * 100).toFixed(1)} % of the time`,
      limit: "≤ 50 ms",
      isMet: loopDelayP99Ms <= 50,
    },
    {
      what: "closed by SIGTERM",
      figure: `${clean} at the end of a chunk, ${hinted} with a hint to come back; ${milliseconds(tookMs)}, exit code ${code}`,
      limit: "all clean, exit code 0",
      isMet: clean === STREAMS && code === 0,
    },
  ];
}

function watchStream(response) {
  const watched = { keepAlives: 0, hasRetryHint: false, end: undefined };
  let isPrimed = false;
  response.setEncoding("utf8").on("data", (text) => {
    if (text.includes(": keep-alive")) watched.keepAlives += 1;
    // The first event has one too: it is for connections that break.
    if (isPrimed && text.includes("retry:")) watched.hasRetryHint = true;
    isPrimed = true;
  });
  response.on("error", () => (watched.end = "cut"));
  response.on("end", () => (watched.end ??= "clean"));
  return watched;
}

async function inTurns(items, act) {
  for (let start = 0; start < items.length; start += AT_ONCE)
    await Promise.all(items.slice(start, start + AT_ONCE).map(act));
}
