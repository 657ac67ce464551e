import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { Shutdown, type ShutdownSteps } from "./shutdown.ts";

const DRAIN_DEADLINE_MS = 25_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Rig {
  readonly shutdown: Shutdown;
  /** What was done so far, in order. */
  readonly done: string[];
  readonly warnings: string[];
}

function createRig(endSessions: () => Promise<void> = async () => {}): Rig {
  const done: string[] = [];
  const warnings: string[] = [];
  const steps: ShutdownSteps = {
    announce: () => void done.push("announce"),
    stopAccepting: () => void done.push("stop accepting"),
    endSessions: async () => {
      done.push("end sessions");
      await endSessions();
    },
    cut: async () => void done.push("cut"),
  };
  const logger = { ...SILENT_LOGGER, warn: (text: string) => void warnings.push(text) };
  const shutdown = new Shutdown(steps, { drainDeadlineMs: () => DRAIN_DEADLINE_MS, logger });
  return { shutdown, done, warnings };
}

const ALL = ["announce", "stop accepting", "end sessions", "cut"];

test("without a grace nothing is waited for, and closing again joins the first", async () => {
  const { shutdown, done, warnings } = createRig();

  await Promise.all([shutdown.run(), shutdown.run()]);

  expect(done).toEqual(ALL);
  expect(warnings).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test("during the grace everything is served, with readiness gone [F30]", async () => {
  const { shutdown, done } = createRig();

  const closing = shutdown.run({ graceMs: 5_000 });
  await vi.advanceTimersByTimeAsync(4_999);
  const during = [...done];
  await vi.advanceTimersByTimeAsync(1);
  await closing;

  expect(during).toEqual(["announce"]);
  expect(done).toEqual(ALL);
});

test("closing once more without a grace ends the wait", async () => {
  const { shutdown, done } = createRig();
  const closing = shutdown.run({ graceMs: 5_000 });
  await vi.advanceTimersByTimeAsync(1);

  await shutdown.run();
  await closing;

  expect(done).toEqual(ALL);
  expect(vi.getTimerCount()).toBe(0);
});

test("what does not end is cut less than two seconds after the drain deadline [F30]", async () => {
  const { shutdown, done, warnings } = createRig(async () => new Promise(() => {}));

  const closing = shutdown.run();
  await vi.advanceTimersByTimeAsync(DRAIN_DEADLINE_MS);
  const atDeadline = [...done];
  await vi.advanceTimersByTimeAsync(1_999);
  await closing;

  expect(atDeadline).not.toContain("cut");
  expect(done).toEqual(ALL);
  expect(warnings).toHaveLength(1);
});
