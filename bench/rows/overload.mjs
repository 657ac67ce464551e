import { delay, milliseconds, quantile, startBackend, startGateway } from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title = "200 clients in closed loops where 50 fill the gateway";

const PEAK = 50;
const OVERLOAD = 4 * PEAK;
/** One after another, a backend's calls take this long: what fills a gateway is calls in flight. */
const CALL_MS = 100;
/** Then those who were refused ask three times as often as the gateway can answer. */
const PAUSE_AFTER_REFUSAL_MS = 100;

export async function run({ isFull }) {
  const seconds = isFull ? 60 : 10;
  const backend = await startBackend(["--call-ms", String(CALL_MS)]);
  const gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url, maxConcurrentCalls: OVERLOAD }],
    limits: { callsPerProcess: PEAK },
  });
  const agent = newAgent();
  const sessions = Array.from({ length: OVERLOAD }, () => new Session(gateway.url, { agent }));
  await Promise.all(sessions.map(async (session) => session.open()));
  const few = sessions.slice(0, PEAK);
  await play(few, 2);
  const peak = await play(few, seconds);
  const over = await play(sessions, seconds);
  await delay(1_000);
  const after = await play(few, 4);
  agent.destroy();

  const ratio = over.goodput / peak.goodput;
  const refusedP99 = quantile(over.refusedMs, 0.99);
  const recovery = after.goodput / peak.goodput;
  return [
    {
      what: "at peak",
      figure: `${peak.goodput.toFixed(0)} answers/s, p99 ${milliseconds(quantile(peak.tookMs, 0.99))}, ${peak.refused} refused, ${peak.wrong} wrong`,
    },
    {
      what: "at four times that",
      figure: `${over.goodput.toFixed(0)} answers/s, p99 ${milliseconds(quantile(over.tookMs, 0.99))}, ${over.refused} refused, ${over.wrong} wrong`,
      limit: "≥ 80 % of the peak, none wrong",
      isMet: ratio >= 0.8 && over.wrong === 0,
    },
    {
      what: "refusals",
      figure: `p50 ${milliseconds(quantile(over.refusedMs, 0.5))}, p99 ${milliseconds(refusedP99)}; ${over.withoutHint} without Retry-After`,
      limit: "503 or 429 with Retry-After, p50 < 50 ms",
      isMet: over.refused > 0 && over.withoutHint === 0 && quantile(over.refusedMs, 0.5) < 50,
    },
    {
      what: "within 5 s after",
      figure: `${after.goodput.toFixed(0)} answers/s, p99 ${milliseconds(quantile(after.tookMs, 0.99))}, ${after.refused} refused`,
      limit: "as at peak (≥ 80 %), none refused",
      isMet: recovery >= 0.8 && after.refused === 0,
    },
  ];
}

async function play(sessions, seconds) {
  const tally = {
    answered: 0,
    refused: 0,
    wrong: 0,
    withoutHint: 0,
    tookMs: [],
    refusedMs: [],
    goodput: 0,
  };
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  await Promise.all(
    sessions.map(async (session) => {
      while (performance.now() < endMs) await playOne(session, tally);
    }),
  );
  tally.goodput = (tally.answered / (performance.now() - startMs)) * 1_000;
  return tally;
}

async function playOne(session, tally) {
  const { status, text, ms, headers } = await session.call("b1_echo", { text: "hello" });
  if (text === "hello") {
    tally.answered += 1;
    tally.tookMs.push(ms);
  } else if (status === 503 || status === 429) {
    tally.refused += 1;
    tally.refusedMs.push(ms);
    if (headers["retry-after"] === undefined) tally.withoutHint += 1;
    await delay(PAUSE_AFTER_REFUSAL_MS);
  } else tally.wrong += 1;
}
