import { connect } from "node:net";
import {
  delay,
  megabytes,
  milliseconds,
  quantile,
  rssOf,
  startBackend,
  startGateway,
  watchRss,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "200 clients that read 1 kB per second while backends send each of them 10 MB in events";

const READERS = 200;
const BYTES = 10_000_000;
const EVENT_BYTES = 64_000;
const STREAM_BUFFER = 2 ** 20;
/** What the kernel holds on the way for one connection, as it grows its buffers by itself. */
const KERNEL_BYTES = 8 * 2 ** 20;
/** Of other clients: what a call may take more than it did when nobody read slowly. */
const MAX_SLOWDOWN_MS = 100;

export async function run({ isFull }) {
  const slow = await startBackend(["--name", "slow"]);
  const sound = await startBackend(["--name", "sound"]);
  const gateway = await startGateway({
    backends: [
      { name: "slow", url: slow.url, maxConcurrentCalls: READERS + 1 },
      { name: "sound", url: sound.url },
    ],
    limits: { callsPerProcess: READERS * 2 },
  });
  const agent = newAgent();
  const others = Array.from({ length: 8 }, () => new Session(gateway.url, { agent }));
  await Promise.all(others.map(async (session) => session.open()));
  await playOthers(others, 2_000);
  const quiet = await playOthers(others, 5_000);
  await gateway.report();
  const base = rssOf(gateway.pid);
  const watch = watchRss(gateway.pid);
  const readers = await Promise.all(
    Array.from({ length: READERS }, async () => {
      const session = new Session(gateway.url, { agent });
      await session.open();
      return startSlowCall(gateway.url, session.headers);
    }),
  );
  const rush = await playOthers(others, 10_000);
  const busy = await playOthers(others, isFull ? 120_000 : 15_000);
  const { spilled } = await slow.figures();
  const first = spilled;
  await delay(3_000);
  const later = (await slow.figures()).spilled;
  const peakRss = watch.stop();
  const begun = readers.filter(({ received }) => received > 0).length;
  const cut = readers.filter(({ isClosed }) => isClosed).length;
  for (const { socket } of readers) socket.destroy();
  agent.destroy();

  const perStream = (peakRss - base) / READERS;
  const perUpstream = later / READERS;
  const slowdownMs = quantile(busy.tookMs, 0.95) - quantile(quiet.tookMs, 0.95);
  return [
    { what: "slow readers", figure: `${begun} of ${READERS} got the beginning, ${cut} were cut` },
    {
      what: "resident memory per stream at most",
      figure: `${(perStream / 2 ** 20).toFixed(2)} MiB (${megabytes(base)} → ${megabytes(peakRss)})`,
      limit: "1 MiB that waits, and 1 MiB that is kept for clients that come back",
      isMet: perStream <= 2 * STREAM_BUFFER,
    },
    {
      what: "what backends could send of 10 MB each",
      figure: `${megabytes(perUpstream)} each; ${megabytes(later - first)} more in 3 s`,
      limit: "held back: < 9 MiB, buffers of the kernel included",
      isMet: perUpstream < STREAM_BUFFER + KERNEL_BYTES,
    },
    {
      what: "calls of others",
      figure: `${busy.tookMs.length}, p95 ${milliseconds(quantile(busy.tookMs, 0.95))}; before ${milliseconds(quantile(quiet.tookMs, 0.95))}; ${busy.wrong + rush.wrong} wrong`,
      limit: `none wrong, p95 at most ${MAX_SLOWDOWN_MS} ms longer`,
      isMet: busy.wrong + rush.wrong === 0 && slowdownMs <= MAX_SLOWDOWN_MS,
    },
    {
      what: "calls of others while the first megabytes of all readers passed",
      figure: `${rush.tookMs.length}, p99 ${milliseconds(quantile(rush.tookMs, 0.99))}`,
    },
  ];
}

/** A call whose answer is read at 1 kB per second, on a bare socket so that nothing reads ahead. */
async function startSlowCall(url, headers) {
  const { hostname, port, pathname, host } = new URL(url);
  const params = { name: "slow_spill", arguments: { bytes: BYTES, eventBytes: EVENT_BYTES } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  const lines = [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    `Content-Length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  const socket = connect({ host: hostname, port: Number(port), onread: undefined });
  const reader = { socket, received: 0, isClosed: false };
  socket.on("error", () => {});
  socket.on("close", () => {
    reader.isClosed = true;
    clearInterval(timer);
  });
  socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  // Reading from the paused stream takes what is asked for; Node itself keeps one piece of 64 KiB besides.
  socket.pause();
  const timer = setInterval(() => {
    const piece = socket.read(1_000) ?? socket.read();
    reader.received += piece?.length ?? 0;
  }, 1_000);
  return reader;
}

/** Calls in closed loops with a pause, for that long. */
async function playOthers(sessions, ms) {
  const tally = { tookMs: [], wrong: 0 };
  const endMs = performance.now() + ms;
  await Promise.all(
    sessions.map(async (session) => {
      while (performance.now() < endMs) {
        const { text, ms: tookMs } = await session.call("sound_echo", { text: "hello" });
        tally.tookMs.push(tookMs);
        if (text !== "hello") tally.wrong += 1;
        await delay(20);
      }
    }),
  );
  return tally;
}
