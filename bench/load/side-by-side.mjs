import process from "node:process";
import { candidatesFor } from "./candidates.mjs";
import { boundsTable, format, held, median, tableOf } from "./figures.mjs";
import { generate, OTHER_CORE, pathOf, startServer, stop } from "./processes.mjs";

const FIELDS = ["answers", "perSecond", "cpuMicros", "waitedShare", "p50Ms", "p99Ms"];

/**
 * Runs one load against all gateways in turn, over and over, and resolves with `{text, rows, bounds, errors}`. `errors`
 * counts the wrong answers of the project's own gateways.
 */
export async function measureSideBySide(load, options, revisions, say) {
  const backend = await startBackend(load, options);
  const page = await startPage(load);
  const gateways = [];
  try {
    for (const candidate of candidatesFor(options, revisions, load))
      gateways.push(await startAndWarm(candidate, [backend.urls, page?.url], load, options, say));
    const able = gateways.filter(({ trouble }) => trouble === undefined);
    for (let round = 1; round <= Number(options.rounds); round += 1)
      await measureRound(round, able, load, options, say);
  } finally {
    await Promise.all(gateways.map(async (gateway) => gateway.running?.stop()));
    await stop(backend);
    if (page !== undefined) await stop(page);
  }
  return reportOf(load, gateways, options);
}

async function startBackend({ backends = { count: 1, extraTools: 0 } }, options) {
  const args = ["--port", options["backend-port"], "--tools", String(backends.extraTools)];
  const server = await startServer([pathOf("backend.mjs"), ...args], { core: OTHER_CORE });
  const { origin } = new URL(server.url);
  const urls = Array.from({ length: backends.count }, (_value, index) =>
    backends.count === 1 ? server.url : `${origin}/b${index + 1}/mcp`,
  );
  return { ...server, urls };
}

/** A backend whose one list is as long as a page of ours; most loads need none. */
async function startPage({ pageTools }) {
  if (pageTools === undefined) return undefined;
  const args = [pathOf("backend.mjs"), "--tools", String(pageTools)];
  return startServer(args, { core: OTHER_CORE });
}

/** One of others that fails here is left out with what it said; one of ours ends the run. */
async function startAndWarm(candidate, backendUrls, load, options, say) {
  const gateway = { ...candidate, slices: [] };
  try {
    gateway.running = await candidate.start(...backendUrls);
    const times = ["--seconds", options.prewarm, "--warmup", "0"];
    const { answers, errors, firstError } = await sliceOf(gateway, load, options, times);
    if (answers === 0 && errors > 0) throw new Error(firstError ?? "no answer at all");
    if (errors > 0) say(`${candidate.name}: ${errors} errors while it warmed up: ${firstError}`);
  } catch (error) {
    await gateway.running?.stop();
    if (candidate.isOurs) throw error;
    gateway.trouble = error.message.split("\n")[0];
    say(`${candidate.name} is left out: ${gateway.trouble}`);
  }
  return gateway;
}

/** Every second round goes backwards, so that nobody always comes after the same one. */
async function measureRound(round, gateways, load, options, say) {
  for (const gateway of round % 2 === 1 ? gateways : gateways.toReversed()) {
    const slice = await sliceOf(gateway, load, options, timesOf(options));
    gateway.slices[round - 1] = slice;
    const { perSecond, cpuMicros, errors, firstError } = slice;
    const trouble = errors > 0 ? ` ${errors} errors: ${firstError}` : "";
    const figures = `${format(perSecond, 0)}/s, ${format(cpuMicros)} µs`;
    say(`${round}/${options.rounds} ${gateway.name}: ${figures}${trouble}`);
  }
}

/** Each slice has a run-up that is not counted, in which its sessions are opened. */
function timesOf({ seconds }) {
  return ["--seconds", seconds, "--warmup", String(Math.min(0.5, Number(seconds) / 4))];
}

async function sliceOf({ running }, load, { sessions }, times) {
  const { url, transport } = running;
  const args = ["--sessions", sessions, ...load.args, ...times];
  return generate({ url, transport, pids: running.pids() }, args);
}

function reportOf(load, gateways, options) {
  const rows = gateways.map(({ name, isOurs, slices, trouble }) => ({
    name,
    isOurs,
    trouble,
    ...Object.fromEntries(FIELDS.map((field) => [field, medianOf(slices, field)])),
    cpuRatio: ratio(slices, gateways[0].slices, "cpuMicros"),
    errors: slices.reduce((sum, { errors }) => sum + errors, 0),
    firstError: slices.find(({ errors }) => errors > 0)?.firstError,
  }));
  const bounds = boundsOf(load, gateways);
  const errors = rows.filter(({ isOurs }) => isOurs).reduce((sum, row) => sum + row.errors, 0);
  const text = [mainTable(load, rows, gateways[0].name), boundsTable(bounds)].join("\n\n");
  const slices = gateways.map(({ name, slices: all }) => ({ name, slices: all }));
  return { text: `${method(options)}\n\n${text}`, rows, bounds, errors, slices };
}

function method({ sessions, rounds, seconds }) {
  return `${sessions} sessions, Node ${process.versions.node}, medians of ${rounds} × ${seconds} s`;
}

function mainTable({ unit = "call" }, rows, base) {
  const head = [
    "gateway",
    `${unit}s / s`,
    `CPU µs / ${unit}`,
    `× ${base}`,
    "p50 ms",
    "p99 ms",
    "waited %",
    "errors",
  ];
  const cells = rows.map((row) =>
    row.trouble === undefined
      ? [
          row.name,
          format(row.perSecond, 0),
          format(row.cpuMicros),
          format(row.cpuRatio, 2),
          format(row.p50Ms, 2),
          format(row.p99Ms, 2),
          format(row.waitedShare * 100, 0),
          row.errors,
        ]
      : [row.name, "–", "–", "–", "–", "–", "–", row.trouble.replaceAll("|", "/").slice(0, 80)],
  );
  return tableOf(head, cells);
}

/** The bounds of the load for every vmcp in the table. */
function boundsOf({ bounds }, gateways) {
  const subjects = gateways.filter(({ name }) => name.startsWith("vmcp"));
  return subjects.flatMap(({ name, slices }) =>
    bounds.flatMap(({ field, against, what, unit = " ×", ...bound }) => {
      const base = gateways.find((gateway) => gateway.name === against);
      if (against !== undefined && base === undefined) return [];
      const value =
        base === undefined ? medianOf(slices, field) : ratio(slices, base.slices, field);
      return [held(`${name}: ${what}`, value, readable(bound), unit, value < 0.2 ? 3 : 2)];
    }),
  );
}

function readable({ atMost, atLeast }) {
  return { atLeast, ...(atMost !== undefined && { atMost: Number(atMost.toFixed(3)) }) };
}

function medianOf(slices, field) {
  return median(slices.map((slice) => slice[field]));
}

/** The median of the rounds' own ratios: what disturbs a round disturbs its neighbours too. */
function ratio(slices, base, field) {
  return median(slices.map((slice, index) => slice[field] / base[index]?.[field]));
}
