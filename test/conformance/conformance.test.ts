import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type FixtureBackend, startFixtureBackend } from "./fixture-backend.mjs";
import { KNOWN_CLIENT_GAPS, unexplained } from "./known-differences.mjs";
import {
  CLIENT_SCENARIOS,
  differences,
  type FinishedRun,
  runClientScenario,
  runServerSuite,
} from "./suite.mjs";

/** The suite's set for 2025-11-25: 30 scenarios that count and 3 that are only reported. */
const SERVER_SCENARIO_COUNT = 33;

const SUITE_TIMEOUT_MS = 60_000;

describe("the suite's server scenarios", () => {
  let fixture: FixtureBackend;
  let gateway: Gateway;
  let direct: FinishedRun;
  let throughGateway: FinishedRun;

  beforeAll(async () => {
    fixture = await startFixtureBackend();
    gateway = await startGateway({
      backends: [{ name: "fixture", url: fixture.url, transport: "streamable-http" }],
    });
    direct = await runServerSuite(fixture.url);
    throughGateway = await runServerSuite(gateway.url);
  }, SUITE_TIMEOUT_MS);

  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await fixture[Symbol.asyncDispose]();
  });

  test("all pass on the fixture itself", () => {
    expect(direct.scenarios.size).toBe(SERVER_SCENARIO_COUNT);
    expect(failuresOf(direct)).toEqual([]);
    expect(outcomeOf(direct)).toBe("passed");
  });

  test("all pass on the fixture behind the gateway", () => {
    expect(throughGateway.scenarios.size).toBe(SERVER_SCENARIO_COUNT);
    expect(failuresOf(throughGateway)).toEqual([]);
    expect(outcomeOf(throughGateway)).toBe("passed");
  });

  test("give the same verdict on every check through the gateway, but for the differences listed", () => {
    expect(unexplained(differences(direct, throughGateway))).toEqual([]);
  });
});

describe("the suite's client scenarios", { timeout: SUITE_TIMEOUT_MS }, () => {
  const gaps = CLIENT_SCENARIOS.filter((scenario) => KNOWN_CLIENT_GAPS.has(scenario));
  const passing = CLIENT_SCENARIOS.filter((scenario) => !KNOWN_CLIENT_GAPS.has(scenario));

  test.for(CLIENT_SCENARIOS)("%s passes without the gateway", async (scenario) => {
    const run = await runClientScenario(scenario, "direct");

    expect(outcomeOf(run)).toBe("passed");
  });

  test.for(passing)("%s passes through the gateway", async (scenario) => {
    expect(inject("buildFailure")).toBe("");

    const run = await runClientScenario(scenario, "gateway");

    expect(outcomeOf(run)).toBe("passed");
  });

  test.for(gaps)("%s fails through the gateway for as long as it is listed", async (scenario) => {
    expect(inject("buildFailure")).toBe("");

    const run = await runClientScenario(scenario, "gateway");

    expect(run.exitCode).toBe(1);
  });
});

/** Shows what the suite printed where it did not pass. */
function outcomeOf({ exitCode, output }: FinishedRun): string {
  return exitCode === 0 ? "passed" : output;
}

function failuresOf({ scenarios }: FinishedRun): readonly string[] {
  return [...scenarios].flatMap(([scenario, checks]) =>
    [...checks].flatMap(([check, { status, errorMessage }]) =>
      status === "FAILURE" ? [`${scenario}: ${check}: ${errorMessage}`] : [],
    ),
  );
}
