import {
  delay,
  milliseconds,
  startBackend,
  startGateway,
  stolenSince,
  watchHealth,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "10,000 progress reports per second from one backend, 100 list_changed per second from another";

const PER_SECOND = 10_000;
const CHANGES = 100;

export async function run({ isFull }) {
  const seconds = isFull ? 60 : 15;
  const stormy = await startBackend(["--name", "stormy"]);
  const fickle = await startBackend(["--name", "fickle", "--list-changed", String(CHANGES)]);
  const gateway = await startGateway({
    backends: [
      { name: "stormy", url: stormy.url },
      { name: "fickle", url: fickle.url },
    ],
  });
  const agent = newAgent();
  const session = new Session(gateway.url, { agent, timeoutMs: 120_000 });
  await session.open();
  let changes = 0;
  const stream = await session.openStream();
  stream
    .setEncoding("utf8")
    .on("data", (text) => (changes += text.split("list_changed").length - 1));
  stream.on("error", () => {});
  await delay(2_000);
  await gateway.report();
  const before = await fickle.figures();
  changes = 0;
  const health = watchHealth(gateway.origin);
  const stolen = stolenSince(gateway.pid);
  const startMs = performance.now();
  let progress = 0;
  const count = PER_SECOND * seconds;
  const { text, error } = await session.call(
    "stormy_storm",
    { count, ms: seconds * 1_000 },
    {
      meta: { progressToken: "storm" },
      onEvent: (received) => {
        const end = received.lastIndexOf("\n\n") + 2;
        if (end < 2) return received;
        const events = received.slice(0, end);
        progress += events.split("notifications/progress").length - 1;
        // The answer itself is for who asked; reports are only counted.
        return events.includes('"result"') || events.includes('"error"')
          ? received
          : received.slice(end);
      },
    },
  );
  const tookSeconds = (performance.now() - startMs) / 1_000;
  const { loopDelayP99Ms } = await gateway.report();
  const stolenShare = stolen();
  const { failed, slowestMs, asked } = await health.stop();
  const after = await fickle.figures();
  stream.destroy();
  agent.destroy();

  const refreshes = after.lists - before.lists;
  const told = after.notifications - before.notifications;
  return [
    {
      what: "the call",
      figure: text ?? JSON.stringify(error),
      limit: `answered with ${count}`,
      isMet: text === String(count),
    },
    {
      what: "progress",
      figure: `${progress} of ${count} reached the client in ${tookSeconds.toFixed(1)} s, ${(progress / tookSeconds).toFixed(0)} per second`,
    },
    {
      what: "list_changed",
      figure: `${told} from the backend, ${refreshes} lists asked for, ${changes} reached the client`,
      limit: "≤ 1 list per second",
      isMet: refreshes <= tookSeconds + 1,
    },
    {
      what: "event loop delay p99",
      figure: `${milliseconds(loopDelayP99Ms)}; without a CPU ${(stolenShare * 100).toFixed(1)} % of the time`,
      limit: "< 100 ms",
      isMet: loopDelayP99Ms < 100,
    },
    {
      what: "/health",
      figure: `${failed} of ${asked} failed, slowest ${milliseconds(slowestMs)}`,
      limit: "< 250 ms",
      isMet: failed === 0 && slowestMs < 250,
    },
  ];
}
