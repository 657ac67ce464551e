import { expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { CELLS, unlisted } from "./cells.mjs";
import { runServerSuite } from "./suite.mjs";

const SUITE_TIMEOUT_MS = 60_000;

/** What the suite has for each revision, unscored scenarios included. */
const SCENARIO_COUNTS = new Map([
  ["2025-11-25", 33],
  ["2026-07-28", 50],
]);

test.concurrent.for(CELLS.map((cell) => [cell.name, cell] as const))(
  "through the gateway, the suite finds of %s nothing that is not listed with its reason [B17]",
  { timeout: SUITE_TIMEOUT_MS },
  async ([, { start, requirements, baseline }]) => {
    await using fixture = await start();
    await using gateway = await startGateway({
      backends: [{ name: "fixture", url: fixture.url, transport: "streamable-http" }],
    });

    const run = await runServerSuite(gateway.url, requirements);

    expect(run.scenarios.size).toBe(SCENARIO_COUNTS.get(requirements));
    expect(unlisted(run, baseline)).toEqual([]);
  },
);

test("an entry of the list that passes is reported, and so is a failure that is not in it", () => {
  const failure = { status: "FAILURE", errorMessage: "why" } as const;
  const run = { scenarios: new Map([["one", new Map([["check", failure]])]]) };
  const reason = "some";

  expect(unlisted(run, [{ scenario: "one", reason }])).toEqual([]);
  expect(unlisted(run, [{ scenario: "one", check: "check", reason }])).toEqual([]);
  expect(unlisted(run, [])).toEqual(["one: check: why"]);
  expect(unlisted({ scenarios: new Map() }, [{ scenario: "two", reason }])).toEqual([
    "two: every check passes by now",
  ]);
});
