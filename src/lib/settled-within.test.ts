import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { settledWithin } from "./settled-within.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("work that is done in time is waited for, and no timer is left", async () => {
  const isDone = await settledWithin(Promise.resolve("done"), 1_000);

  expect(isDone).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("work that is not done in time is left alone, however it ends later", async () => {
  let fail: ((error: Error) => void) | undefined;
  const work = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const waiting = settledWithin(work, 1_000);

  await vi.advanceTimersByTimeAsync(1_000);
  const isDone = await waiting;
  fail?.(new Error("too late"));

  expect(isDone).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

test("work that fails in time fails the wait", async () => {
  const work = Promise.reject(new Error("broken"));

  await expect(settledWithin(work, 1_000)).rejects.toThrow("broken");
  expect(vi.getTimerCount()).toBe(0);
});
