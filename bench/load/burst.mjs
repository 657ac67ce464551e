// Very many initialize at the same moment.
import { startVmcp } from "./candidates.mjs";
import { format, held, median, told } from "./figures.mjs";
import { generate, OTHER_CORE, pathOf, startServer, stop } from "./processes.mjs";

const BACKENDS = 3;
/** Backends take a moment, or nobody could see how many are asked at once. */
const BACKEND_MS = 5;
/** The configuration's own default. */
const STARTS_AT_ONCE = 64;

export async function measure({ rounds, count = "1000", profile }, say) {
  const backend = await startServer([pathOf("backend.mjs")], { core: OTHER_CORE });
  const { origin } = new URL(backend.url);
  const backends = Array.from(
    { length: BACKENDS },
    (_value, index) => `${origin}/after-${BACKEND_MS}-ms/b${index + 1}/mcp`,
  );
  const sessions = { maxSessions: Number(count) + 10 };
  const gateway = await startVmcp({ backends, operational: { sessions }, profile });
  try {
    const burst = async () =>
      generate({ url: gateway.url, pids: gateway.pids() }, [
        "--mode",
        "burst",
        "--sessions",
        count,
      ]);
    const bursts = [await burst()];
    for (let round = 1; round <= Number(rounds); round += 1) {
      bursts.push(await burst());
      const { p50Ms, p99Ms, errors, firstError } = bursts.at(-1);
      say(
        `${round}/${rounds} p50 ${format(p50Ms)} ms, p99 ${format(p99Ms)} ms, ${errors} errors ${firstError ?? ""}`,
      );
    }
    const figures = await (await fetch(`${origin}/figures`)).json();
    return reportOf(bursts, figures, Number(count));
  } finally {
    await gateway.stop();
    await stop(backend);
  }
}

/** The first one finds a gateway that has not run yet, as after a restart. */
function reportOf([cold, ...warm], { peakStarting }, count) {
  const of = (field) => `${format(median(warm.map((each) => each[field])))} ms`;
  const errors = [cold, ...warm].reduce((sum, each) => sum + each.errors, 0);
  const figures = [
    held(`errors of ${count * (warm.length + 1)}`, errors, { atMost: 0 }, "", 0),
    told("p50, p99 and slowest", `${of("p50Ms")}, ${of("p99Ms")}, ${of("maxMs")}`),
    told(
      "the same of the first burst",
      [cold.p50Ms, cold.p99Ms, cold.maxMs].map((ms) => `${format(ms)} ms`).join(", "),
    ),
    told(
      "CPU per session",
      `${format(median(warm.map(({ cpuMicros }) => cpuMicros / 1000)), 2)} ms`,
    ),
    held("initialize at once that a backend sees", peakStarting, { atMost: STARTS_AT_ONCE }, "", 0),
  ];
  return { figures, errors };
}
