// Runs the official conformance suite in a process of its own and reads what it found.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text as readText } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The revision whose frozen set of scenarios is run. */
const REQUIREMENTS = "2025-11-25";

/** The client scenarios of that revision that are about sessions; the others are about authorization. */
export const CLIENT_SCENARIOS = [
  "initialize",
  "tools_call",
  "elicitation-sep1034-client-defaults",
  "sse-retry",
  "json-schema-2020-12-preservation",
];

const SUITE = createRequire(import.meta.url).resolve(
  "@modelcontextprotocol/conformance/dist/index.js",
);
const NODE_20 = new URL("node-20.mjs", import.meta.url).href;

/** Each scenario's folder of results ends with the time at which it began. */
const RESULT_FOLDER = /^(?:server-)?(?<scenario>.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/;

/** From most to least telling, for checks that a scenario makes more than once. */
const SEVERITY = ["FAILURE", "WARNING", "SKIPPED", "SUCCESS", "INFO"];

const VIA_GATEWAY = fileURLToPath(new URL("via-gateway.mjs", import.meta.url));

/** Every scenario of a revision's set for servers, scored or not. */
export async function runServerSuite(url, requirements = REQUIREMENTS) {
  return runSuite(["server", "--url", url, "--requirements", requirements]);
}

/** One scenario for clients, played through the gateway built in `dist` or directly. */
export async function runClientScenario(scenario, way, revision = REQUIREMENTS) {
  // A shell takes the command apart.
  const program = [process.execPath, VIA_GATEWAY].map((path) => JSON.stringify(path)).join(" ");
  const command = way === "direct" ? `${program} --direct` : program;
  const what = ["--command", command, "--scenario", scenario, "--spec-version", revision];
  return runSuite(["client", ...what]);
}

async function runSuite(args) {
  const folder = await mkdtemp(join(tmpdir(), "vmcp-conformance-"));
  try {
    const suite = spawn(
      process.execPath,
      ["--import", NODE_20, SUITE, ...args, "--output-dir", folder],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const [[exitCode], stdout, stderr] = await Promise.all([
      once(suite, "close"),
      readText(suite.stdout),
      readText(suite.stderr),
    ]);
    return { exitCode, output: stdout + stderr, scenarios: await readResults(folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The verdict on every check of every scenario. */
async function readResults(folder) {
  const names = await readdir(folder);
  const scenarios = await Promise.all(
    names.map(async (name) => {
      const checks = JSON.parse(await readFile(join(folder, name, "checks.json"), "utf8"));
      return [RESULT_FOLDER.exec(name)?.groups.scenario ?? name, toVerdicts(checks)];
    }),
  );
  return new Map(scenarios);
}

function toVerdicts(checks) {
  const verdicts = new Map();
  for (const { id, status, errorMessage } of checks) {
    const known = verdicts.get(id);
    if (known !== undefined && SEVERITY.indexOf(known.status) <= SEVERITY.indexOf(status)) continue;
    verdicts.set(id, { status, errorMessage });
  }
  return verdicts;
}

/**
 * The checks on which two runs disagree. One that took notes and judged nothing counts only where the other run has
 * a verdict on it.
 */
export function differences(direct, gateway) {
  const scenarios = new Set([...direct.scenarios.keys(), ...gateway.scenarios.keys()]);
  return [...scenarios].flatMap((scenario) => {
    const left = direct.scenarios.get(scenario) ?? new Map();
    const right = gateway.scenarios.get(scenario) ?? new Map();
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((check) => {
      const before = left.get(check)?.status ?? "INFO";
      const after = right.get(check)?.status ?? "INFO";
      return before === after ? [] : [{ scenario, check, direct: before, gateway: after }];
    });
  });
}
