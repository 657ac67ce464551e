// The runs of the suite in which a client or a backend knows no sessions, and what is known to go wrong in each.
import { startFixtureBackend } from "./fixture-backend.mjs";
import { startStatelessFixture } from "./fixture-stateless.mjs";

const NO_TASKS =
  "the fixture makes no tasks; the set runs the extension's scenarios without counting them";

/** Scenarios of the tasks extension that need a backend with tasks. */
const TASKS = [
  "tasks-capability-negotiation",
  "tasks-dispatch-and-envelope",
  "tasks-lifecycle",
  "tasks-mrtr-composition",
  "tasks-mrtr-input",
  "tasks-request-headers",
  "tasks-request-state-removal",
  "tasks-required-task-error",
  "tasks-wire-fields",
].map((scenario) => ({ scenario, reason: NO_TASKS }));

const KEYS =
  "a sessionful backend's requests have no keys, so that the gateway gives them some; the scenario wants the fixture's";

/** Each entry of `baseline` is a check that does not pass, or a scenario of which that is so, and why. */
export const CELLS = [
  {
    name: "a stateless client of a stateless backend",
    start: startStatelessFixture,
    requirements: "2026-07-28",
    baseline: TASKS,
  },
  {
    name: "a stateless client of a sessionful backend",
    start: startFixtureBackend,
    requirements: "2026-07-28",
    baseline: [
      ...TASKS,
      {
        scenario: "input-required-result-basic-elicitation",
        check: "sep-2322-elicitation-incomplete",
        reason: KEYS,
      },
      {
        scenario: "input-required-result-ignore-extra-params",
        check: "sep-2322-ignore-unexpected-params",
        reason: KEYS,
      },
      {
        scenario: "input-required-result-capability-check",
        check: "sep-2322-respect-client-capabilities",
        reason:
          "a sessionful backend hears of capabilities once, and not with each request: what it asks of a client that cannot be asked is answered with -32021",
      },
    ],
  },
  {
    name: "a sessionful client of a stateless backend",
    start: startStatelessFixture,
    requirements: "2025-11-25",
    baseline: [],
  },
];

/** One sentence for each check that does not pass and is not listed, and for each entry that holds no longer. */
export function unlisted({ scenarios }, baseline) {
  const bad = [...scenarios].flatMap(([scenario, checks]) =>
    [...checks].flatMap(([check, { status, errorMessage }]) =>
      status === "FAILURE" || status === "WARNING" ? [{ scenario, check, errorMessage }] : [],
    ),
  );
  const found = bad.filter((one) => !baseline.some((entry) => isOf(entry, one)));
  const stale = baseline.filter((entry) => !bad.some((one) => isOf(entry, one)));
  return [
    ...found.map(({ scenario, check, errorMessage }) => `${scenario}: ${check}: ${errorMessage}`),
    ...stale.map(({ scenario, check = "every check" }) => `${scenario}: ${check} passes by now`),
  ];
}

function isOf(entry, { scenario, check }) {
  return entry.scenario === scenario && (entry.check ?? check) === check;
}
