// Runs the official conformance suite against a backend, directly and through the gateway, and shows both side by side:
// `npm run conformance`. Exits with 1 if a scenario fails or the gateway makes a difference that is not listed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

process.exitCode = await main();

async function main() {
  if (!ensureInstalled()) return 1;
  const [built] = await once(
    spawn(process.execPath, [join(ROOT, "scripts/build.mjs")], { stdio: "inherit" }),
    "exit",
  );
  if (built !== 0) return 1;
  const problems = [
    ...(await serverScenarios()),
    ...(await statelessCells()),
    ...(await clientScenarios()),
    ...(await statelessClientScenarios()),
  ];
  for (const problem of problems) console.error(`✗ ${problem}`);
  if (problems.length === 0) console.log("\nNothing fails or differs but what is listed above.");
  return problems.length === 0 ? 0 : 1;
}

/** Returns one sentence for each problem. */
async function serverScenarios() {
  // What follows can be loaded only after the dependencies are installed and the gateway is built.
  const { differences, runServerSuite } = await import("../test/conformance/suite.mjs");
  const { KNOWN_DIFFERENCES, unexplained } =
    await import("../test/conformance/known-differences.mjs");
  const { startFixtureBackend } = await import("../test/conformance/fixture-backend.mjs");
  const { createVmcp } = await import("../dist/index.js");

  const fixture = await startFixtureBackend();
  const gateway = await createVmcp({
    backends: [{ name: "fixture", url: fixture.url, transport: "streamable-http" }],
    aggregation: { conflictResolution: "prefixOnConflict" },
    server: { port: 0 },
  });
  try {
    const url = await gateway.listen();
    const direct = await runServerSuite(fixture.url);
    const throughGateway = await runServerSuite(url);
    const scenarios = [...direct.scenarios.keys()];
    showTable("server scenario", scenarios, direct.scenarios, throughGateway.scenarios);
    for (const { scenario, check, reason } of KNOWN_DIFFERENCES) {
      console.log(`listed: ${scenario}: ${check}: ${reason}`);
    }
    return [
      ...problemsOf("directly", direct),
      ...problemsOf("through the gateway", throughGateway),
      ...unexplained(differences(direct, throughGateway)),
    ];
  } finally {
    await gateway.close();
    await fixture[Symbol.asyncDispose]();
  }
}

/** The runs in which the client or the backend knows no sessions. */
async function statelessCells() {
  const { runServerSuite } = await import("../test/conformance/suite.mjs");
  const { CELLS, unlisted } = await import("../test/conformance/cells.mjs");
  const { createVmcp } = await import("../dist/index.js");
  const problems = [];
  for (const { name, start, requirements, baseline } of CELLS) {
    // One after the other: what they measure is time, among other things.
    // oxlint-disable-next-line no-await-in-loop
    const fixture = await start();
    // oxlint-disable-next-line no-await-in-loop
    const gateway = await createVmcp({
      backends: [{ name: "fixture", url: fixture.url, transport: "streamable-http" }],
      aggregation: { conflictResolution: "prefixOnConflict" },
      server: { port: 0 },
    });
    try {
      // oxlint-disable-next-line no-await-in-loop
      const run = await runServerSuite(await gateway.listen(), requirements);
      const passed = [...run.scenarios.values()].flatMap((checks) => [...checks.values()]);
      const count = passed.filter(({ status }) => status === "SUCCESS").length;
      console.log(
        `\n${name} (${requirements}): ${run.scenarios.size} scenarios, ${count} checks passed`,
      );
      for (const { scenario, check = "every check", reason } of baseline) {
        console.log(`listed: ${scenario}: ${check}: ${reason}`);
      }
      if (run.scenarios.size === 0)
        problems.push(`the suite did not run for ${name}:\n${run.output}`);
      problems.push(...unlisted(run, baseline).map((problem) => `${name}: ${problem}`));
    } finally {
      // oxlint-disable-next-line no-await-in-loop
      await gateway.close();
      // oxlint-disable-next-line no-await-in-loop
      await fixture[Symbol.asyncDispose]();
    }
  }
  return problems;
}

/** The client scenarios of the revision without sessions, which judge the gateway's side towards such backends. */
async function statelessClientScenarios() {
  const { runClientScenario } = await import("../test/conformance/suite.mjs");
  const { STATELESS_SCENARIOS } = await import("../test/conformance/stateless-scenarios.mjs");
  const problems = [];
  console.log("");
  for (const [scenario] of STATELESS_SCENARIOS) {
    // One after the other: what they measure is time, among other things.
    // oxlint-disable-next-line no-await-in-loop
    const run = await runClientScenario(scenario, "gateway", "2026-07-28");
    const checks = [...(run.scenarios.get(scenario)?.values() ?? [])];
    const passed = checks.filter(({ status }) => status === "SUCCESS").length;
    console.log(`client scenario ${scenario} (2026-07-28): ${passed} checks passed`);
    problems.push(...problemsOf("through the gateway", run));
  }
  return problems;
}

async function clientScenarios() {
  const { CLIENT_SCENARIOS, runClientScenario } = await import("../test/conformance/suite.mjs");
  const { KNOWN_CLIENT_GAPS } = await import("../test/conformance/known-differences.mjs");
  const direct = new Map();
  const throughGateway = new Map();
  const problems = [];
  for (const scenario of CLIENT_SCENARIOS) {
    // One after the other: what they measure is time, among other things.
    // oxlint-disable-next-line no-await-in-loop
    const left = await runClientScenario(scenario, "direct");
    // oxlint-disable-next-line no-await-in-loop
    const right = await runClientScenario(scenario, "gateway");
    direct.set(scenario, left.scenarios.get(scenario));
    throughGateway.set(scenario, right.scenarios.get(scenario));
    problems.push(...problemsOf("directly", left));
    if (!KNOWN_CLIENT_GAPS.has(scenario))
      problems.push(...problemsOf("through the gateway", right));
    else if (right.exitCode === 0) problems.push(`${scenario} passes: it is no known gap any more`);
  }
  showTable("client scenario", CLIENT_SCENARIOS, direct, throughGateway);
  for (const [scenario, reason] of KNOWN_CLIENT_GAPS) console.log(`listed: ${scenario}: ${reason}`);
  return problems;
}

function problemsOf(way, { exitCode, output, scenarios }) {
  const failures = [...scenarios].flatMap(([scenario, checks]) =>
    [...checks].flatMap(([check, { status, errorMessage }]) =>
      status === "FAILURE" ? [`${scenario}: ${check} fails ${way}: ${errorMessage ?? ""}`] : [],
    ),
  );
  if (failures.length > 0 || (exitCode === 0 && scenarios.size > 0)) return failures;
  return [`the suite ended with exit code ${exitCode} ${way}:\n${output}`];
}

function showTable(title, scenarios, direct, throughGateway) {
  const width = Math.max(...scenarios.map((scenario) => scenario.length)) + 2;
  console.log(`\n${title.padEnd(width)}direct  gateway`);
  for (const scenario of scenarios) {
    const left = summaryOf(direct.get(scenario));
    console.log(
      `${scenario.padEnd(width)}${left.padEnd(8)}${summaryOf(throughGateway.get(scenario))}`,
    );
  }
}

/** Checks passed, of those that were judged. */
function summaryOf(checks = new Map()) {
  const judged = [...checks.values()].filter(({ status }) =>
    ["SUCCESS", "FAILURE", "WARNING"].includes(status),
  );
  const passed = judged.filter(({ status }) => status === "SUCCESS");
  return `${passed.length}/${judged.length}`;
}
