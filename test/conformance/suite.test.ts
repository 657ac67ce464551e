import { expect, test } from "vitest";
import { KNOWN_DIFFERENCES, unexplained } from "./known-differences.mjs";
import { type CheckStatus, differences, type SuiteRun } from "./suite.mjs";

function run(checks: Readonly<Record<string, CheckStatus>>): SuiteRun {
  const verdicts = Object.entries(checks).map(([id, status]) => [id, { status }] as const);
  return { scenarios: new Map([["ping", new Map(verdicts)]]) };
}

test("a check with another verdict through the gateway is a difference", () => {
  const found = differences(
    run({ a: "SUCCESS", b: "SUCCESS" }),
    run({ a: "SUCCESS", b: "WARNING" }),
  );

  expect(found).toEqual([{ scenario: "ping", check: "b", direct: "SUCCESS", gateway: "WARNING" }]);
});

test("a check or scenario that one run does not have is a difference", () => {
  const nothing: SuiteRun = { scenarios: new Map() };

  expect(differences(run({ a: "SUCCESS" }), run({}))).toHaveLength(1);
  expect(differences(nothing, run({ a: "FAILURE" }))).toHaveLength(1);
});

test("notes that only one run took are no difference", () => {
  expect(differences(run({ a: "INFO" }), run({ b: "INFO" }))).toEqual([]);
});

test("differences that are listed need no further explanation", () => {
  expect(unexplained(KNOWN_DIFFERENCES)).toEqual([]);
});

test("a difference that is not listed is reported", () => {
  const other = { scenario: "ping", check: "ping", direct: "SUCCESS", gateway: "FAILURE" } as const;

  expect(unexplained([...KNOWN_DIFFERENCES, other])).toEqual([
    "ping: ping is SUCCESS directly and FAILURE through the gateway",
  ]);
});

test("a listed difference that is gone is reported", () => {
  expect(unexplained(KNOWN_DIFFERENCES.slice(1))).toHaveLength(1);
});
