import {
  delay,
  descriptorsOf,
  megabytes,
  milliseconds,
  quantile,
  rssOf,
  startBackend,
  startGateway,
  until,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "1,000 sessions × 5 backends begin at 20 per second; then each calls once per 10 s; then all end";

const BACKENDS = 5;
const PER_SECOND = 20;
const CALL_EVERY_MS = 10_000;
const MAX_INITIALIZE_MS = 1_000;
const MAX_RSS = 600 * 2 ** 20;

export async function run({ isFull }) {
  const count = 1_000;
  const callingMs = isFull ? 300_000 : 15_000;
  const backends = await Promise.all(
    Array.from({ length: BACKENDS }, (_value, index) =>
      startBackend(["--name", `b${index + 1}`, "--keep-alive-ms", "2000"]),
    ),
  );
  const gateway = await startGateway({
    backends: backends.map(({ url }, index) => ({ name: `b${index + 1}`, url })),
    operational: { sessions: { maxSessions: count + 10 } },
  });
  const agent = newAgent();
  await playOne(gateway.url, agent);
  await delay(5_000);
  const before = {
    descriptors: descriptorsOf(gateway.pid),
    backendSessions: await openAt(backends),
    ...(await gateway.report()),
  };

  const initializeMs = [];
  const failures = [];
  const sessions = [];
  for (let begun = 0; begun < count; begun += 1) {
    const session = new Session(gateway.url, { agent });
    sessions.push(session);
    void session.open().then(
      (ms) => initializeMs.push(ms),
      (error) => failures.push(error.message),
    );
    await delay(1_000 / PER_SECOND);
  }
  await until(() => initializeMs.length + failures.length === count, 10_000);
  await delay(1_000);
  const idleDescriptors = descriptorsOf(gateway.pid);
  const callMs = [];
  const endMs = performance.now() + callingMs;
  let peakDescriptors = 0;
  const callers = sessions.map(async (session, index) => {
    await delay((index / count) * CALL_EVERY_MS);
    while (performance.now() < endMs) {
      const { text, ms } = await session.call(`b${(index % BACKENDS) + 1}_echo`, { text: "hello" });
      if (text === "hello") callMs.push(ms);
      else failures.push("a wrong answer to a call");
      peakDescriptors = Math.max(peakDescriptors, descriptorsOf(gateway.pid));
      await delay(CALL_EVERY_MS);
    }
  });
  await Promise.all(callers);
  const rss = rssOf(gateway.pid);
  const { heapBytes } = await gateway.report();
  await endAll(sessions);
  agent.destroy();

  let left;
  const isAtRest = await until(async () => {
    left = {
      descriptors: descriptorsOf(gateway.pid),
      sessions: await gateway.sessions(),
      backendSessions: await openAt(backends),
    };
    return (
      left.descriptors <= before.descriptors &&
      left.sessions === 0 &&
      left.backendSessions <= before.backendSessions
    );
  }, 15_000);
  const after = await gateway.report();

  const p99 = quantile(initializeMs, 0.99);
  return [
    {
      what: "sessions",
      figure: `${initializeMs.length} open, ${failures.length} failures ${failures[0] ?? ""}`,
      limit: "no failure",
      isMet: failures.length === 0,
    },
    {
      what: "initialize",
      figure: `p50 ${milliseconds(quantile(initializeMs, 0.5))}, p99 ${milliseconds(p99)}`,
      limit: "p99 ≤ 1 s",
      isMet: p99 <= MAX_INITIALIZE_MS,
    },
    {
      what: "calls",
      figure: `${callMs.length}, p50 ${milliseconds(quantile(callMs, 0.5))}, p99 ${milliseconds(quantile(callMs, 0.99))}`,
    },
    {
      what: "resident memory with all sessions",
      figure: megabytes(rss),
      limit: "≤ 600 MiB",
      isMet: rss <= MAX_RSS,
    },
    {
      what: "heap per session",
      figure: `${((heapBytes - before.heapBytes) / count / 1_024).toFixed(1)} KiB`,
    },
    {
      what: "descriptors",
      figure: `${idleDescriptors} with all sessions idle, ${peakDescriptors} at most in calls, ${before.descriptors} before`,
      limit: "sessions × backends do not count: < 1,000",
      isMet: peakDescriptors < count,
    },
    {
      what: "after DELETE of all",
      figure: `${left.descriptors} descriptors, ${left.sessions} sessions, ${left.backendSessions} backend sessions (${before.backendSessions} before), heap ${megabytes(after.heapBytes)} (${megabytes(before.heapBytes)} before)`,
      limit: "as before",
      isMet: isAtRest,
    },
  ];
}

/** The gateway's own probes have sessions too. */
async function openAt(backends) {
  const open = await Promise.all(
    backends.map(async (backend) => (await backend.figures()).sessions),
  );
  return open.reduce((sum, each) => sum + each, 0);
}

async function playOne(url, agent) {
  const session = new Session(url, { agent });
  await session.open();
  for (let index = 1; index <= BACKENDS; index += 1)
    await session.call(`b${index}_echo`, { text: "hello" });
  await session.delete();
}

/** Fifty at a time: a thousand at once is another row's load. */
async function endAll(sessions) {
  for (let start = 0; start < sessions.length; start += 50)
    await Promise.all(sessions.slice(start, start + 50).map(async (session) => session.delete()));
}
