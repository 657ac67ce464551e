import { openSessions, playPayloads } from "./payloads.mjs";
import {
  delay,
  megabytes,
  milliseconds,
  quantile,
  startBackend,
  startGateway,
  watchHealth,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "a small heap: the payloads of L5, and sessions until no more are let in; sheds load and does not run out of memory";

const PAYLOAD_HEAP_MB = 128;
/** Half as many sessions fill half the heap. */
const QUICK_FILL_HEAP_MB = 64;
const AT_ONCE = 50;
const MAX_SESSIONS = 50_000;
/** How long the gateway is asked for more once it has refused the first. */
const INSIST_MS = 5_000;

export async function run({ isFull }) {
  const backend = await startBackend();
  return [
    ...(await payloads(backend, isFull ? 60_000 : 15_000)),
    ...(await fill(backend, isFull ? PAYLOAD_HEAP_MB : QUICK_FILL_HEAP_MB)),
  ];
}

async function payloads(backend, ms) {
  const gateway = await startSmall(backend, PAYLOAD_HEAP_MB);
  const agent = newAgent();
  const sessions = await openSessions(gateway.url, agent, AT_ONCE);
  const health = watchHealth(gateway.origin);
  const load = await playPayloads(sessions, gateway.pid, ms);
  const { failed, slowestMs, asked } = await health.stop();
  agent.destroy();
  const lives = isAlive(gateway);
  await gateway.stop();
  return [
    lifeOf(gateway, lives, `under payloads, ${PAYLOAD_HEAP_MB} MiB`),
    {
      what: "calls",
      figure: `${load.answered} answered, ${load.refused} refused with 503, ${load.wrong} wrong, ${load.cut} cut ${load.firstWrong}`,
      limit: "none wrong or cut",
      isMet: load.wrong + load.cut === 0,
    },
    {
      what: "bytes in flight and resident memory at most",
      figure: `${megabytes(load.peakInFlight)}, ${megabytes(load.peakRss)}`,
    },
    {
      what: "/health",
      figure: `${failed} of ${asked} failed, slowest ${milliseconds(slowestMs)}`,
      limit: "all answered",
      isMet: failed === 0,
    },
  ];
}

async function fill(backend, heapMb) {
  const gateway = await startSmall(backend, heapMb);
  const agent = newAgent();
  const filling = { open: [], refusedMs: [], withoutHint: 0, closing: 0, broken: "" };
  let endMs = Number.POSITIVE_INFINITY;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() < endMs && filling.broken === "") {
        if (filling.open.length >= MAX_SESSIONS) return;
        if (await openOne(gateway.url, agent, filling)) continue;
        if (endMs === Number.POSITIVE_INFINITY) endMs = performance.now() + INSIST_MS;
        await delay(50);
      }
    }),
  );
  const opened = filling.open.length;
  const lives = isAlive(gateway);
  const { heapBytes } = lives ? await gateway.report() : { heapBytes: Number.NaN };
  const isBack = lives && (await recovers(gateway, agent, filling));
  agent.destroy();
  await gateway.stop();
  return [
    lifeOf(gateway, lives, `full of sessions, ${heapMb} MiB`),
    {
      what: "sessions let in",
      figure: `${opened}, with a heap of ${megabytes(heapBytes)}`,
      limit: "not all that want",
      isMet: filling.refusedMs.length > 0,
    },
    {
      what: "refusals",
      figure: `${filling.refusedMs.length}, p99 ${milliseconds(quantile(filling.refusedMs, 0.99))}, ${filling.closing} with connection: close; ${filling.withoutHint} without Retry-After; ${filling.broken}`,
      limit: "503 with Retry-After",
      isMet: filling.withoutHint === 0 && filling.broken === "",
    },
    {
      what: "once half of the sessions have left",
      figure: isBack ? "lets in new ones" : "still refuses",
      limit: "lets in new ones",
      isMet: isBack,
    },
  ];
}

/** Whether it was let in. */
async function openOne(url, agent, filling) {
  const session = new Session(url, { agent });
  const startMs = performance.now();
  try {
    await session.open();
    filling.open.push(session);
    return true;
  } catch (error) {
    if (error.status !== 503) filling.broken ||= error.message;
    filling.refusedMs.push(performance.now() - startMs);
    if (error.retryAfter === undefined) filling.withoutHint += 1;
    if (error.isClosing) filling.closing += 1;
    return false;
  }
}

async function recovers(gateway, agent, { open }) {
  const leaving = open.splice(0, open.length / 2);
  for (let start = 0; start < leaving.length; start += AT_ONCE)
    await Promise.all(
      leaving.slice(start, start + AT_ONCE).map(async (session) => session.delete()),
    );
  const deadlineMs = performance.now() + 10_000;
  while (performance.now() < deadlineMs) {
    const isIn = await new Session(gateway.url, { agent }).open().then(
      () => true,
      () => false,
    );
    if (isIn) return true;
    await delay(500);
  }
  return false;
}

async function startSmall(backend, heapMb) {
  return startGateway({
    backends: [{ name: "b1", url: backend.url }],
    operational: { sessions: { maxSessions: MAX_SESSIONS, unusedTtl: "30m", shutdownGrace: "0s" } },
    nodeArgs: [`--max-old-space-size=${heapMb}`],
  });
}

function isAlive({ child }) {
  return child.exitCode === null && child.signalCode === null;
}

function lifeOf({ output }, lives, when) {
  return {
    what: `the process, ${when}`,
    figure: lives ? "lives" : `ended: ${output.text.slice(-300)}`,
    limit: "lives",
    isMet: lives,
  };
}
