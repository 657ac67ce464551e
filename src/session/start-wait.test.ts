import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LateSignal } from "../lib/late-signal.ts";
import { StartWait, type StartPatience } from "./start-wait.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Begun {
  readonly outcome: () => unknown;
  /** Ends the attempt of that index. */
  readonly end: (index: number) => void;
  readonly fail: (index: number) => void;
}

/** Waits for attempts of which each is needed or not; the outcome is undefined until there is one. */
function waitFor(patience: StartPatience, ...areNeeded: readonly boolean[]): Begun {
  const ends: (() => void)[] = [];
  const fails: (() => void)[] = [];
  let outcome: unknown;
  const over = StartWait.over(patience, (attempt) => {
    for (const isNeeded of areNeeded) {
      const ending = new Promise<void>((resolve, reject) => {
        ends.push(resolve);
        fails.push(() => reject(new Error("failed")));
      });
      attempt(ending, isNeeded);
    }
  });
  over.then(
    () => (outcome = "started"),
    (error: unknown) => (outcome = error),
  );
  return {
    outcome: () => outcome,
    end: (index) => ends[index]?.(),
    fail: (index) => fails[index]?.(),
  };
}

/** Everything that was promised has come true. */
async function turn(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

test("without attempts nothing is waited for", async () => {
  const { outcome } = waitFor({ deadlineMs: 1_000 });

  await turn();

  expect(outcome()).toBe("started");
  expect(vi.getTimerCount()).toBe(0);
});

test("every attempt is waited for where nothing else is said", async () => {
  const { outcome, end } = waitFor({}, true, false);

  end(0);
  await turn(3_600_000);
  const before = outcome();
  end(1);
  await turn();

  expect(before).toBeUndefined();
  expect(outcome()).toBe("started");
});

test("those that are optional are waited for as long as there is patience, and the others until they end", async () => {
  const { outcome, end } = waitFor({ optionalMs: 500, deadlineMs: 5_000 }, true, false);

  await turn(600);
  const early = outcome();
  end(0);
  await turn();

  expect(early).toBeUndefined();
  expect(outcome()).toBe("started");
  expect(vi.getTimerCount()).toBe(0);
});

test("only the optional one is missing: it has its time and no more", async () => {
  const { outcome, end } = waitFor({ optionalMs: 500, deadlineMs: 5_000 }, true, false);

  end(0);
  await turn(499);
  const early = outcome();
  await turn(1);

  expect(early).toBeUndefined();
  expect(outcome()).toBe("started");
});

test.for<[string, StartPatience]>([
  ["alone", { deadlineMs: 1_000 }],
  ["after the patience", { optionalMs: 500, deadlineMs: 1_000 }],
  ["before the patience", { optionalMs: 2_000, deadlineMs: 1_000 }],
])("the deadline ends the wait for all of them: %s", async ([_when, patience]) => {
  const { outcome } = waitFor(patience, true, false);

  await turn(999);
  const early = outcome();
  await turn(1);

  expect(early).toBeUndefined();
  expect(outcome()).toBe("started");
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt that fails in a way that it must not ends the wait", async () => {
  const { outcome, fail } = waitFor({ deadlineMs: 1_000 }, true, true);

  fail(1);
  await turn();

  expect(outcome()).toMatchObject({ message: "failed" });
  expect(vi.getTimerCount()).toBe(0);
});

describe("giving up", () => {
  function asSignal(): [StartPatience, (reason: Error) => void] {
    const controller = new AbortController();
    return [{ signal: controller.signal, deadlineMs: 1_000 }, (reason) => controller.abort(reason)];
  }

  function asWithdrawal(): [StartPatience, (reason: Error) => void] {
    const withdrawal = new LateSignal();
    return [{ withdrawal, deadlineMs: 1_000 }, (reason) => withdrawal.abort(reason)];
  }

  test.for([
    ["a signal", asSignal],
    ["a withdrawal", asWithdrawal],
  ] as const)(
    "by %s ends the wait at once, and what ends later changes nothing",
    async ([, by]) => {
      const [patience, abort] = by();
      const { outcome, end } = waitFor(patience, true);

      abort(new Error("gone"));
      await turn();
      end(0);
      await turn(2_000);

      expect(outcome()).toMatchObject({ message: "gone" });
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test.for([
    ["a signal", asSignal],
    ["a withdrawal", asWithdrawal],
  ] as const)("before it began, by %s, waits for nothing", async ([, by]) => {
    const [patience, abort] = by();
    abort(new Error("gone"));

    const { outcome } = waitFor(patience, true);
    await turn();

    expect(outcome()).toMatchObject({ message: "gone" });
    expect(vi.getTimerCount()).toBe(0);
  });
});
