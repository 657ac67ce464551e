import { expect, test } from "vitest";
import { runFaults, type FaultTarget } from "./fault-run.ts";
import { checkHistory } from "./history.ts";
import { startHttpLedger, type HttpLedger } from "./ledger-backend.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A backend in place of a gateway: its tool has the name that one behind a gateway would have. */
function asGateway(ledger: HttpLedger, faults: FaultTarget["faults"]): FaultTarget {
  return { name: "b", ledger: ledger.ledger, faults, heal: async () => {} };
}

const NOTHING = { name: "nothing", strike: () => {} };

test("clients that play against an echo of somebody else's answers find every one of them", async () => {
  const wrong = '{"content":[{"type":"text","text":"somebody else\'s"}]}';
  await using ledger = await startHttpLedger({ results: new Map([["b_nonce", wrong]]) });

  const run = await runFaults({
    url: ledger.url,
    targets: [asGateway(ledger, [NOTHING])],
    seed: 1,
    durationMs: 1_000,
    clients: 2,
    faultEveryMs: 50,
  });

  const answered = run.history.count("ok");
  const violations = checkHistory(run.history.events, run.executions);
  expect(answered).toBeGreaterThan(0);
  expect(violations).toHaveLength(answered);
  expect(violations[0]).toMatch(/^seed1-\d+ got the answer to somebody else's$/);
});

test("a call whose answer never comes ends unknown, and the run ends all the same", async () => {
  await using ledger = await startHttpLedger({
    results: new Map([["b_nonce", "{}"]]),
    callFate: "hang",
  });

  const run = await runFaults({
    url: ledger.url,
    targets: [asGateway(ledger, [NOTHING])],
    seed: 2,
    durationMs: 1_000,
    clients: 2,
    faultEveryMs: 50,
    patienceMs: 100,
  });

  expect(run.history.count("unknown")).toBe(run.history.count("invoke"));
  expect(run.history.count("invoke")).toBeGreaterThan(0);
  expect(checkHistory(run.history.events, run.executions)).toEqual([]);
});

test("the faults of a seed are those of that seed each time", () => {
  const choices = (seed: number): readonly number[] => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 20 }, () => random.fork().int(1_000));
  };

  expect(choices(7)).toEqual(choices(7));
  expect(choices(7)).not.toEqual(choices(8));
  expect(new Set(choices(7)).size).toBeGreaterThan(15);
});

test("choices stay within their bounds, and there must be something to choose from", () => {
  const random = new SeededRandom(3);

  const numbers = Array.from({ length: 1_000 }, () => random.int(3));

  expect(new Set(numbers)).toEqual(new Set([0, 1, 2]));
  expect(() => random.pick([])).toThrow("nothing to pick from");
});
