// Measures gateways side by side and prints a table in Markdown. See ../README.md for the method.
//   node run.mjs [--load calls|results|events|arguments|churn|all] [--rounds 5] [--seconds 2] [--prewarm 4] [--sessions 64] [--only REGEX]
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CAN_PIN, GATEWAY_CORE, OTHER_CORE, startNode, startServer, treeOf } from "./processes.mjs";

const { values: options } = parseArgs({
  options: {
    load: { type: "string", default: "calls" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    prewarm: { type: "string", default: "4" },
    sessions: { type: "string", default: "64" },
    only: { type: "string", default: "" },
  },
});

const LOADS = new Map([
  ["calls", { title: "200 B calls", args: [] }],
  ["results", { title: "10 KB results", args: ["--tool", "big", "--bytes", "10240"] }],
  ["events", { title: "200 B calls, answered as events", args: [], backend: ["--answers", "sse"] }],
  ["arguments", { title: "1 MB arguments", args: ["--tool", "swallow", "--bytes", "1048576"] }],
  ["churn", { title: "whole lives of sessions", args: ["--churn"] }],
]);
const CLI = fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url));
const BASE = "pass-through";

const folder = mkdtempSync(join(tmpdir(), "vmcp-bench-"));
const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

process.exitCode = await main();

async function main() {
  const names = options.load === "all" ? [...LOADS.keys()] : [options.load];
  const unknown = names.find((name) => !LOADS.has(name));
  if (unknown !== undefined) {
    console.error(`no load "${unknown}": use ${[...LOADS.keys()].join(", ")} or all`);
    return 2;
  }
  if (!existsSync(CLI)) console.error("vmcp is not built and is left out: npm run build");
  if (!CAN_PIN) console.error("no taskset or one core: nothing is pinned, expect noise");
  let errors = 0;
  for (const name of names) errors += await measureLoad(LOADS.get(name));
  return errors === 0 ? 0 : 1;
}

/** Returns the number of wrong answers. */
async function measureLoad(load) {
  const backend = await serve([pathOf("backend.mjs"), ...(load.backend ?? [])], OTHER_CORE);
  const gateways = await Promise.all(candidatesFor(backend.url).map(startGateway));
  for (const gateway of gateways)
    await slice(gateway, load, ["--seconds", options.prewarm, "--warmup", "0"]);
  for (let round = 1; round <= Number(options.rounds); round += 1)
    for (const gateway of gateways) {
      const measured = await slice(gateway, load, ["--seconds", options.seconds]);
      gateway.slices.push(measured);
      say(round, gateway.name, measured);
    }
  for (const child of children) child.kill("SIGTERM");
  children.clear();
  printTable(load, gateways);
  return gateways.flatMap(({ slices }) => slices).reduce((sum, each) => sum + each.errors, 0);
}

function candidatesFor(backendUrl) {
  const config = join(folder, "vmcp.yaml");
  // JSON is YAML too.
  writeFileSync(
    config,
    JSON.stringify({
      backends: [{ name: "b1", url: backendUrl, transport: "streamable-http" }],
      aggregation: { conflictResolution: "prefix" },
      operational: { sessionManagementV2: true },
    }),
  );
  const all = [
    { name: BASE, args: [pathOf("pass-through.mjs"), "--backend", backendUrl] },
    { name: "vmcp", args: [CLI, "serve", config, "--port", "0"] },
    { name: "SDK gateway", args: [pathOf("sdk-gateway.mjs"), "--backend", backendUrl] },
  ];
  return all
    .filter(({ args }) => existsSync(args[0]))
    .filter(({ name }) => name === BASE || new RegExp(options.only, "i").test(name));
}

async function startGateway({ name, args }) {
  return { name, ...(await serve(args, GATEWAY_CORE)), slices: [] };
}

async function serve(args, core) {
  const server = await startServer(args, core);
  children.add(server.child);
  return server;
}

/** One short run of the generator against one gateway. */
async function slice({ url, child }, load, times) {
  const args = ["--url", url, "--sessions", options.sessions, ...load.args, ...times];
  const generator = startNode(
    [pathOf("loadgen.mjs"), ...args, "--pids", treeOf(child.pid).join(",")],
    OTHER_CORE,
  );
  children.add(generator);
  let output = "";
  let complaint = "";
  generator.stdout.on("data", (chunk) => (output += chunk));
  generator.stderr.on("data", (chunk) => (complaint += chunk));
  await new Promise((resolve) => generator.on("close", resolve));
  children.delete(generator);
  try {
    return JSON.parse(output);
  } catch {
    return { answers: 0, errors: 1, firstError: complaint.slice(-500) };
  }
}

function say(round, name, { perSecond, cpuMicros, errors, firstError }) {
  const trouble = errors > 0 ? ` ${errors} errors: ${firstError}` : "";
  console.error(
    `${round}/${options.rounds} ${name}: ${format(perSecond, 0)}/s, ${format(cpuMicros)} µs${trouble}`,
  );
}

function printTable({ title, args }, gateways) {
  const unit = args.includes("--churn") ? "session" : "call";
  const base = medianOf(gateways[0], "cpuMicros");
  console.log(
    `\n${title}, ${options.sessions} sessions, Node ${process.versions.node}; medians of ${options.rounds} × ${options.seconds} s\n`,
  );
  console.log(
    `| gateway | ${unit}s / s | CPU µs / ${unit} | × pass-through | p50 ms | p99 ms | errors |`,
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const gateway of gateways) {
    const cpu = medianOf(gateway, "cpuMicros");
    const cells = [
      gateway.name,
      format(medianOf(gateway, "perSecond"), 0),
      format(cpu),
      format(cpu / base, 2),
      format(medianOf(gateway, "p50Ms"), 2),
      format(medianOf(gateway, "p99Ms"), 2),
      gateway.slices.reduce((sum, { errors }) => sum + errors, 0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function medianOf({ slices }, field) {
  const sorted = slices
    .map((each) => each[field])
    .filter((value) => typeof value === "number")
    .toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

function format(value, digits = 1) {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

function pathOf(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
