import {
  milliseconds,
  megabytes,
  quantile,
  rssOf,
  startBackend,
  startGateway,
  watchRss,
  delay,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title = "requests of 1 B to 1 MiB, results of 1 kB to 16 MiB, 50 at once";

const AT_ONCE = 50;
const REQUEST_BYTES = [1, 100, 10_000, 100_000, 1_000_000];
const RESULT_BYTES = [1_000, 10_000, 100_000, 1_000_000, 4_000_000, 16_700_000];
/** What a process may need beyond what it carries: code that was compiled, buffers that were not collected yet. */
const MARGIN_BYTES = 64 * 2 ** 20;

export async function run({ isFull }) {
  const backend = await startBackend();
  const gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
  const agent = newAgent();
  const sessions = await openSessions(gateway.url, agent, AT_ONCE);
  await Promise.all(sessions.map(async (session) => session.call("b1_echo", { text: "warm" })));
  await gateway.report();
  const base = rssOf(gateway.pid);

  const load = await playPayloads(sessions, gateway.pid, isFull ? 60_000 : 15_000);
  const overs = await overTheCaps(sessions[0]);
  await delay(2_000);
  const { heapBytes } = await gateway.report();
  agent.destroy();
  const allowed = base + 2 * load.peakInFlight + MARGIN_BYTES;
  return [
    {
      what: "calls",
      figure: `${load.answered} answered, ${load.wrong} wrong; p99 ${milliseconds(quantile(load.tookMs, 0.99))}`,
      limit: "none wrong",
      isMet: load.wrong === 0,
    },
    { what: "bytes in flight at most", figure: megabytes(load.peakInFlight) },
    {
      what: "resident memory at most",
      figure: `${megabytes(load.peakRss)}; ${megabytes(base)} before`,
      limit: `base + 2 × bytes in flight + 64 MiB = ${megabytes(allowed)}`,
      isMet: load.peakRss <= allowed,
    },
    { what: "heap afterwards", figure: megabytes(heapBytes) },
    {
      what: "a request over the cap",
      figure: `HTTP ${overs.requestStatus}`,
      limit: "413",
      isMet: overs.requestStatus === 413,
    },
    {
      what: "a result over the cap",
      figure: String(overs.resultKind),
      limit: "backend_too_large",
      isMet: overs.resultKind === "backend_too_large",
    },
  ];
}

export async function openSessions(url, agent, count) {
  const sessions = Array.from(
    { length: count },
    () => new Session(url, { agent, timeoutMs: 120_000 }),
  );
  await Promise.all(sessions.map(async (session) => session.open()));
  return sessions;
}

/** Every session calls in turn with all sizes. `refused` are 503s, which are no wrong answers. */
export async function playPayloads(sessions, pid, ms) {
  const load = {
    answered: 0,
    wrong: 0,
    refused: 0,
    cut: 0,
    tookMs: [],
    refusedMs: [],
    peakInFlight: 0,
    peakRss: 0,
    firstWrong: "",
  };
  let inFlight = 0;
  const endMs = performance.now() + ms;
  const watch = watchRss(pid);
  await Promise.all(
    sessions.map(async (session, index) => {
      for (let turn = index; performance.now() < endMs; turn += 1) {
        const isRequest = turn % 2 === 0;
        const sizes = isRequest ? REQUEST_BYTES : RESULT_BYTES;
        const bytes = sizes[(turn >> 1) % sizes.length];
        inFlight += bytes;
        load.peakInFlight = Math.max(load.peakInFlight, inFlight);
        try {
          await playOne(session, load, isRequest, bytes);
        } catch (error) {
          load.cut += 1;
          load.firstWrong ||= error.message;
          await delay(100);
        } finally {
          inFlight -= bytes;
        }
      }
    }),
  );
  load.peakRss = watch.stop();
  return load;
}

async function playOne(session, load, isRequest, bytes) {
  const answer = isRequest
    ? await session.call("b1_swallow", { text: "x".repeat(bytes) })
    : await session.call("b1_big", { bytes });
  const isRight = isRequest ? answer.text === String(bytes) : answer.text?.length === bytes;
  if (isRight) {
    load.answered += 1;
    load.tookMs.push(answer.ms);
  } else if (answer.status === 503) {
    load.refused += 1;
    load.refusedMs.push(answer.ms);
    await delay(50);
  } else {
    load.wrong += 1;
    load.firstWrong ||= JSON.stringify(answer.error) ?? `HTTP ${answer.status}`;
  }
}

async function overTheCaps(session) {
  const request = await session.call("b1_swallow", { text: "x".repeat(4 * 2 ** 20) });
  const result = await session.call("b1_big", { bytes: 16 * 2 ** 20 });
  return { requestStatus: request.status, resultKind: result.error?.data?.kind };
}
