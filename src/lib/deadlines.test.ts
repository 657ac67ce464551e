import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadlines } from "./deadlines.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test.for([1, 99, 100, 101, 5_000, 51_200, 200_000])(
  "a deadline of %i ms comes neither early nor more than 200 ms late",
  (ms) => {
    const onExpire = vi.fn<() => void>();
    const wheel = new Deadlines();
    vi.advanceTimersByTime(37);

    wheel.add(ms, onExpire);
    vi.advanceTimersByTime(ms - 1);
    const wasEarly = onExpire.mock.calls.length > 0;
    vi.advanceTimersByTime(201);

    expect(wasEarly).toBe(false);
    expect(onExpire).toHaveBeenCalledOnce();
    expect(wheel.size).toBe(0);
  },
);

test("a cancelled deadline never comes", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  const deadline = wheel.add(500, onExpire);

  deadline.cancel();
  vi.advanceTimersByTime(200_000);

  expect(onExpire).not.toHaveBeenCalled();
});

test("extending counts from now, and may also shorten", () => {
  const late = vi.fn<() => void>();
  const soon = vi.fn<() => void>();
  const wheel = new Deadlines();
  const extended = wheel.add(1_000, late);
  const shortened = wheel.add(60_000, soon);

  vi.advanceTimersByTime(900);
  extended.extend(1_000);
  shortened.extend(100);
  vi.advanceTimersByTime(900);

  expect(late).not.toHaveBeenCalled();
  expect(soon).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(300);
  expect(late).toHaveBeenCalledOnce();
});

test("extending what has ended does not revive it", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  const deadline = wheel.add(100, onExpire);
  vi.advanceTimersByTime(300);

  deadline.extend(100);
  vi.advanceTimersByTime(10_000);

  expect(onExpire).toHaveBeenCalledOnce();
});

test("the timer stops when nothing waits and starts again for the next deadline", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  wheel.add(100, onExpire);
  vi.advanceTimersByTime(500);
  const idleTimers = vi.getTimerCount();
  vi.advanceTimersByTime(70_000);

  wheel.add(100, onExpire);
  vi.advanceTimersByTime(300);

  expect(idleTimers).toBe(0);
  expect(onExpire).toHaveBeenCalledTimes(2);
});

test("what fell due while the process stood still comes after one more turn", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  for (const ms of [200, 30_000, 90_000]) wheel.add(ms, onExpire);
  const now = performance.now();

  const clock = vi.spyOn(performance, "now").mockReturnValue(now + 3_600_000);
  vi.advanceTimersByTime(100);
  const atOnce = onExpire.mock.calls.length;
  clock.mockReturnValue(now + 3_600_100);
  vi.advanceTimersByTime(100);

  expect(atOnce).toBe(0);
  expect(onExpire).toHaveBeenCalledTimes(3);
  vi.restoreAllMocks();
});

test("a call whose answer came while the process stood still is not cut off [F40]", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  const deadline = wheel.add(500, onExpire);
  const now = performance.now();

  vi.spyOn(performance, "now").mockReturnValue(now + 2_000);
  vi.advanceTimersByTime(100);
  // What arrived is read between two turns.
  deadline.cancel();
  vi.advanceTimersByTime(500);

  expect(onExpire).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});

test("a process that stands still again and again keeps its deadlines all the same", () => {
  const onExpire = vi.fn<() => void>();
  const wheel = new Deadlines();
  wheel.add(500, onExpire);
  const start = performance.now();
  const clock = vi.spyOn(performance, "now");

  for (const stop of [1, 2]) {
    clock.mockReturnValue(start + stop * 1_000);
    vi.advanceTimersByTime(100);
  }

  expect(onExpire).toHaveBeenCalledOnce();
  vi.restoreAllMocks();
});

test("a deadline may add and cancel others while it comes", () => {
  const never = vi.fn<() => void>();
  const later = vi.fn<() => void>();
  const wheel = new Deadlines();
  wheel.add(100, () => {
    victim.cancel();
    wheel.add(0, later);
  });
  const victim = wheel.add(100, never);

  vi.advanceTimersByTime(500);

  expect(never).not.toHaveBeenCalled();
  expect(later).toHaveBeenCalledOnce();
});
