// How long initialize takes with ten backends, against the slowest of them asked directly.
import { startVmcp } from "./candidates.mjs";
import { format, held, median, told } from "./figures.mjs";
import { generate, OTHER_CORE, pathOf, startServer, stop } from "./processes.mjs";

const BACKENDS = 10;
const SLOWEST_MS = 50;

export async function measure({ rounds, seconds, profile }, say) {
  const backend = await startServer([pathOf("backend.mjs")], { core: OTHER_CORE });
  const { origin } = new URL(backend.url);
  const urls = Array.from({ length: BACKENDS }, (_value, index) => {
    const delayMs = Math.round((SLOWEST_MS * (index + 1)) / BACKENDS);
    return `${origin}/after-${delayMs}-ms/mcp`;
  });
  const gateway = await startVmcp({ backends: urls, profile });
  try {
    const direct = { url: urls.at(-1) };
    await starts(direct, 0.5);
    await starts(ofGateway(gateway), 0.5);
    const slices = [];
    for (let round = 1; round <= Number(rounds); round += 1) {
      const alone = await starts(direct, seconds);
      const listsBefore = await listsAskedOf(origin);
      const together = await starts(ofGateway(gateway), seconds);
      const lists = (await listsAskedOf(origin)) - listsBefore;
      slices.push({ alone, together, lists });
      say(
        `${round}/${rounds} slowest backend ${format(alone.p50Ms)} ms, vmcp ${format(together.p50Ms)} ms`,
      );
    }
    return reportOf(slices);
  } finally {
    await gateway.stop();
    await stop(backend);
  }
}

function reportOf(slices) {
  const of = (pick) => median(slices.map(pick));
  const errors = slices.reduce(
    (sum, { alone, together }) => sum + alone.errors + together.errors,
    0,
  );
  const figures = [
    told("p50 of the slowest backend's own", `${format(of(({ alone }) => alone.p50Ms))} ms`),
    told(
      "p50 and p99 through vmcp",
      `${format(of(({ together }) => together.p50Ms))} ms, ${format(of(({ together }) => together.p99Ms))} ms`,
    ),
    held(
      "p50 of initialize, × the slowest backend's",
      of(({ together, alone }) => together.p50Ms / alone.p50Ms),
      { atMost: 1.2 },
      " ×",
    ),
    // Later rounds may fall into the minute in which a catalogue is looked at again.
    held(
      "lists asked of backends whose catalogues are known",
      slices[0].lists,
      { atMost: 0 },
      "",
      0,
    ),
    told(
      `CPU per session of ${BACKENDS} backends, its DELETE included`,
      `${format(
        of(({ together }) => together.cpuMicros / 1000),
        2,
      )} ms`,
    ),
    held("errors", errors, { atMost: 0 }, "", 0),
  ];
  return { figures, errors };
}

function ofGateway({ url, pids }) {
  return { url, pids: pids() };
}

async function starts(target, seconds) {
  return generate(target, [
    "--mode",
    "starts",
    "--sessions",
    "1",
    "--seconds",
    String(seconds),
    "--warmup",
    "0.1",
  ]);
}

async function listsAskedOf(origin) {
  const answer = await fetch(`${origin}/figures`);
  return (await answer.json()).lists;
}
