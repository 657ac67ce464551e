import { array, assert, integer, nat, property } from "fast-check";
import { expect, test } from "vitest";
import type { RestartPolicy } from "./link-policy.ts";
import { Restarts } from "./restarts.ts";

const POLICY: RestartPolicy = {
  backoffMinMs: 1_000,
  backoffMaxMs: 4_000,
  budget: 5,
  windowMs: 60_000,
};

test("the first exit costs no wait, further ones wait twice as long each time, up to the longest", () => {
  const restarts = new Restarts(POLICY);

  const waits = [1, 2, 3, 4, 5].map((atMs) => restarts.exited(atMs).waitMs);

  expect(waits).toEqual([0, 1_000, 2_000, 4_000, 4_000]);
});

test("a start that failed waits in any case", () => {
  const restarts = new Restarts(POLICY);

  const waits = [1, 2, 3, 4].map((atMs) => restarts.startFailed(atMs).waitMs);

  expect(waits).toEqual([1_000, 2_000, 4_000, 4_000]);
});

test("one exit more than the budget rests until the oldest has left the window", () => {
  const restarts = new Restarts(POLICY);
  for (const atMs of [1_000, 2_000, 3_000, 4_000, 5_000]) restarts.exited(atMs);

  const rest = restarts.exited(6_000);

  expect(rest).toEqual({ waitMs: 55_000, spent: { ends: 6, windowMs: 60_000 } });
});

test("a budget of none rests after the first exit", () => {
  const restarts = new Restarts({ ...POLICY, budget: 0 });

  const rest = restarts.exited(7_000);

  expect(rest).toEqual({ waitMs: 60_000, spent: { ends: 1, windowMs: 60_000 } });
});

test("a run that lasted for the window makes the next exit a first one again", () => {
  const restarts = new Restarts(POLICY);
  for (const atMs of [0, 1, 2, 3, 4]) restarts.exited(atMs);

  const rest = restarts.exited(60_004);

  expect(rest).toEqual({ waitMs: 0 });
});

test("never starts more often within a window than the budget and one allow", () => {
  assert(
    property(
      array(nat({ max: 5_000 }), { maxLength: 60 }),
      integer({ min: 0, max: 6 }),
      (runsMs, budget) => {
        const policy = { ...POLICY, budget };
        const restarts = new Restarts(policy);
        const startsAtMs: number[] = [];
        let nowMs = 0;
        for (const runMs of runsMs) {
          startsAtMs.push(nowMs);
          nowMs += runMs;
          nowMs += restarts.exited(nowMs).waitMs;
        }

        const withinWindow = startsAtMs.map(
          (fromMs) =>
            startsAtMs.filter((atMs) => atMs >= fromMs && atMs < fromMs + policy.windowMs).length,
        );

        expect(Math.max(0, ...withinWindow)).toBeLessThanOrEqual(budget + 2);
      },
    ),
  );
});
