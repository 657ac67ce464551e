// What a call costs where two workers serve the endpoint: by the worker that owns its session, and passed on to it.
import { startVmcp } from "./candidates.mjs";
import { format, held, median, told } from "./figures.mjs";
import { generate, OTHER_CORE, pathOf, startServer, stop } from "./processes.mjs";

const MAX_OF_TWO = 1.1;
const MAX_FORWARDED = 2;
const WORK = ["--tool", "echo", "--size", "200"];
const TWO_WORKERS = ["--workers", "2"];

/** What is measured, each in one slice per round. */
const WAYS = [
  { name: "one", gateway: "alone" },
  { name: "own", gateway: "two" },
  { name: "forwarded", gateway: "two", args: ["--forwarded"] },
];

export async function measure({ rounds, seconds, prewarm, sessions, profile }, say) {
  const backend = await startServer([pathOf("backend.mjs")], { core: OTHER_CORE });
  const gateways = {};
  // Each connection is given to the next worker, so that both have as many of an even number of sessions.
  const count = String(Math.ceil(Number(sessions) / 2) * 2);
  const sliceOf = async ({ gateway, args = [] }, length) => {
    const { url, pids } = gateways[gateway];
    const times = ["--seconds", String(length), "--warmup", String(Math.min(0.5, length / 4))];
    return generate({ url, pids: pids() }, ["--sessions", count, ...WORK, ...times, ...args]);
  };
  try {
    gateways.alone = await startVmcp({ backends: [backend.url], profile });
    gateways.two = await startVmcp({ backends: [backend.url], serveArgs: TWO_WORKERS, profile });
    for (const way of WAYS) await sliceOf(way, Number(prewarm));
    const slices = [];
    for (let round = 1; round <= Number(rounds); round += 1) {
      const of = {};
      // Every second round goes backwards, so that nobody always comes after the same one.
      for (const way of round % 2 === 1 ? WAYS : WAYS.toReversed())
        of[way.name] = await sliceOf(way, Number(seconds));
      slices.push(of);
      const figures = WAYS.map(({ name }) => `${name} ${format(of[name].cpuMicros)} µs`);
      say(`${round}/${rounds} ${figures.join(", ")} ${troubleIn(of)}`.trim());
    }
    return reportOf(slices);
  } finally {
    await Promise.all(Object.values(gateways).map(async (gateway) => gateway.stop()));
    await stop(backend);
  }
}

function reportOf(slices) {
  const micros = (name) => `${format(median(slices.map((of) => of[name].cpuMicros)))} µs`;
  const rate = (name) => format(median(slices.map((of) => of[name].perSecond)), 0);
  const ratio = (name, base) => median(slices.map((of) => of[name].cpuMicros / of[base].cpuMicros));
  const errors = slices
    .flatMap((of) => Object.values(of))
    .reduce((sum, each) => sum + each.errors, 0);
  const figures = [
    told(
      "CPU per call: one worker, two, two and forwarded",
      WAYS.map((way) => micros(way.name)).join(", "),
    ),
    told("calls per second, likewise", WAYS.map((way) => rate(way.name)).join(", ")),
    held(
      "CPU per call with two workers, × one, on connections of the session's worker",
      ratio("own", "one"),
      { atMost: MAX_OF_TWO },
      " ×",
    ),
    held(
      "CPU per call on a connection of the other worker, × one of its own",
      ratio("forwarded", "own"),
      { atMost: MAX_FORWARDED },
      " ×",
    ),
    held(`errors ${slices.map(troubleIn).join(" ")}`.trim(), errors, { atMost: 0 }, "", 0),
  ];
  return { figures, errors };
}

function troubleIn(of) {
  return Object.values(of).find(({ errors }) => errors > 0)?.firstError ?? "";
}
