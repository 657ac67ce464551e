import { format, median, quantile, tableOf } from "../load/figures.mjs";
import { microFunctions } from "./functions.mjs";

const WARM_UP_MS = 200;
const SAMPLE_MS = 5;
const SAMPLES = 41;

/** What is returned by what is timed goes here, so that no compiler finds the work needless. */
const sink = { value: 0 };

/**
 * Times every function by itself: warm-up, then samples of some milliseconds each. Prints a table of medians, with the
 * fastest sample and the one that nine of ten are below, and resolves with the figures in nanoseconds.
 */
export async function measureMicro(say, quick = false) {
  const rows = [];
  for (const { name, run } of await microFunctions()) {
    const nanos = timesOf(
      run,
      quick ? 3 : SAMPLES,
      quick ? 1 : WARM_UP_MS,
      quick ? 0.1 : SAMPLE_MS,
    );
    rows.push({
      name,
      median: median(nanos),
      fastest: Math.min(...nanos),
      p90: quantile(nanos, 0.9),
    });
    say(`${name}: ${format(rows.at(-1).median, 0)} ns`);
  }
  const cells = rows.map((row) => [row.name, ...[row.median, row.fastest, row.p90].map(written)]);
  return { rows, text: tableOf(["function", "median ns", "fastest", "p90"], cells) };
}

function timesOf(run, samples, warmUpMs, sampleMs) {
  const perRunMs = warmUp(run, warmUpMs);
  const runs = Math.max(1, Math.round(sampleMs / perRunMs));
  return Array.from({ length: samples }, () => (timed(run, runs) / runs) * 1e6);
}

/** Runs it until it has been compiled, and tells how long one run takes in the end. */
function warmUp(run, minMs) {
  let runs = 1;
  let spentMs = 0;
  let lastMs = 0;
  do {
    lastMs = timed(run, runs);
    spentMs += lastMs;
    if (lastMs < minMs / 4) runs *= 2;
  } while (spentMs < minMs);
  return lastMs / runs;
}

function timed(run, runs) {
  const startMs = performance.now();
  for (let count = 0; count < runs; count += 1) sink.value = run();
  return performance.now() - startMs;
}

function written(nanos) {
  return nanos < 100 ? format(nanos) : format(nanos, 0);
}
