// Runs load rows against a real gateway and says whether each passes.
//   npm run load -- L6 [L7 ...] [--full]      or: all
// `--full` runs each row for as long as it is meant to; without it a row takes a minute or so.
// Prints a table per row. Exits with 1 when a row fails, with 2 when it cannot be run.
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cleanUp, stolenSince } from "./parts.mjs";

const ROWS = new Map([
  ["L3", "sessions"],
  ["L4", "streams"],
  ["L5", "payloads"],
  ["L6", "slow-readers"],
  ["L7", "slow-writers"],
  ["L8", "overload"],
  ["L10", "slow-backends"],
  ["L11", "wide-lists"],
  ["L12", "storm"],
  ["L13", "descriptors"],
  ["L14", "heap"],
]);

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: "boolean", default: false } },
});
const asked = positionals.includes("all") ? [...ROWS.keys()] : positionals;
process.exitCode = await main();

async function main() {
  const unknown = asked.find((id) => !ROWS.has(id));
  if (unknown !== undefined || asked.length === 0) {
    console.error(
      `Name rows of ${[...ROWS.keys()].join(", ")}, or all; --full runs them at length.`,
    );
    return 2;
  }
  if (!existsSync(fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url)))) {
    console.error("vmcp is not built: npm run build");
    return 2;
  }
  let failed = 0;
  for (const id of asked) if (!(await runRow(id))) failed += 1;
  return failed === 0 ? 0 : 1;
}

/** A row's `run` resolves with its figures, each `{what, figure, limit, isMet}`; one without a limit is only told. */
async function runRow(id) {
  const { title, run } = await import(`./${ROWS.get(id)}.mjs`);
  console.log(`\n${id} ${title}\n`);
  const startMs = performance.now();
  const stolen = stolenSince(process.pid);
  let figures;
  try {
    figures = await run({ isFull: options.full });
  } catch (error) {
    figures = [{ what: "the row itself", figure: error.stack, limit: "runs", isMet: false }];
  } finally {
    await cleanUp();
  }
  console.log("| what | figure | limit | |\n|---|---|---|---|");
  for (const { what, figure, limit = "", isMet } of figures)
    console.log(
      `| ${what} | ${figure} | ${limit} | ${isMet === undefined ? "" : isMet ? "met" : "MISSED"} |`,
    );
  const passes = figures.every(({ isMet }) => isMet !== false);
  const seconds = (performance.now() - startMs) / 1_000;
  const waited = `the generator waited for a CPU ${(stolen() * 100).toFixed(1)} % of the time`;
  console.log(`\n${id} ${passes ? "PASS" : "FAIL"} (${seconds.toFixed(0)} s; ${waited})`);
  return passes;
}
