import { describe, expect, inject, test } from "vitest";
import { STATELESS_SCENARIOS } from "./stateless-scenarios.mjs";
import { runClientScenario } from "./suite.mjs";

const REVISION = "2026-07-28";

const SUITE_TIMEOUT_MS = 60_000;

describe(
  "the suite's client scenarios of the revision without sessions",
  { timeout: SUITE_TIMEOUT_MS },
  () => {
    test.for(STATELESS_SCENARIOS.map(([scenario]) => scenario))(
      "%s passes through the gateway, whose client has a session",
      async (scenario) => {
        expect(inject("buildFailure")).toBe("");

        const { exitCode, output, scenarios } = await runClientScenario(
          scenario,
          "gateway",
          REVISION,
        );

        const checks = [...scenarios.values()].flatMap((verdicts) => [...verdicts]);
        const failed = checks.filter(
          ([, { status }]) => status === "FAILURE" || status === "WARNING",
        );
        expect(checks.length).toBeGreaterThan(0);
        expect(failed).toEqual([]);
        expect(exitCode === 0 ? "passed" : output).toBe("passed");
      },
    );
  },
);
