import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LoopWatch } from "./loop-watch.ts";

/** Lets the process stand still: time passes and no timer fires. */
function standStill(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

describe("with timers that the test moves", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("a loop that turns is not stalled, however long it has", () => {
    using loop = new LoopWatch({ now: Date.now });
    loop.start();

    vi.advanceTimersByTime(60_000);

    expect(loop.isStalled()).toBe(false);
  });

  test("after a standstill of two seconds it is, also for who asks before the next beat [F40]", () => {
    using loop = new LoopWatch({ now: Date.now });
    loop.start();

    standStill(2_000);

    expect(loop.isStalled()).toBe(true);
  });

  test("it is so for a second more, in which what came meanwhile is read", () => {
    using loop = new LoopWatch({ now: Date.now });
    loop.start();
    standStill(2_000);

    vi.advanceTimersByTime(900);
    const soonAfter = loop.isStalled();
    vi.advanceTimersByTime(700);

    expect(soonAfter).toBe(true);
    expect(loop.isStalled()).toBe(false);
  });

  test("a beat that is a little late is none", () => {
    using loop = new LoopWatch({ now: Date.now });
    loop.start();

    standStill(900);

    expect(loop.isStalled()).toBe(false);
  });

  test("before its start and after its end it reports nothing and leaves no timer", () => {
    const loop = new LoopWatch({ now: Date.now });
    standStill(5_000);
    const before = loop.isStalled();
    loop.start();

    loop[Symbol.dispose]();
    standStill(5_000);

    expect([before, loop.isStalled()]).toEqual([false, false]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
