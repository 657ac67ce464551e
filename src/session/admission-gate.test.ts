import { afterEach, expect, test, vi } from "vitest";
import { AdmissionGate } from "./admission-gate.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("an open gate admits and counts those inside [seed 87]", () => {
  const gate = new AdmissionGate();

  const admission = gate.admit();

  expect(gate.inFlight).toBe(1);
  admission[Symbol.dispose]();
  expect(gate.inFlight).toBe(0);
});

test("a closed gate refuses every way in [seed 87]", async () => {
  const gate = new AdmissionGate();

  await gate.closeAndDrain();

  expect(gate.isClosed).toBe(true);
  expect(gate.enter()).toBe(false);
  expect(gate.tryAdmit()).toBeUndefined();
  expect(() => gate.admit()).toThrow(expect.objectContaining({ code: "session_closed" }));
  expect(gate.inFlight).toBe(0);
});

test("draining lasts until everyone inside has left [seed 87]", async () => {
  const gate = new AdmissionGate();
  const first = gate.admit();
  gate.enter();
  let isDrained = false;

  const draining = (async () => {
    const outcome = await gate.closeAndDrain();
    isDrained = true;
    return outcome;
  })();
  first[Symbol.dispose]();
  await settleMicrotasks();
  const wasDrainedWithOneInside = isDrained;
  gate.leave();

  expect(await draining).toBe(true);
  expect(wasDrainedWithOneInside).toBe(false);
});

test("closing refuses newcomers while those inside go on", async () => {
  const gate = new AdmissionGate();
  gate.enter();

  const draining = gate.closeAndDrain();

  expect(gate.enter()).toBe(false);
  gate.leave();
  expect(await draining).toBe(true);
});

test("closing again returns at once and tells whether all have left [seed 87]", async () => {
  const gate = new AdmissionGate();
  gate.enter();
  const draining = gate.closeAndDrain();

  const whileOneIsInside = await gate.closeAndDrain();
  gate.leave();
  await draining;
  const afterTheLast = await gate.closeAndDrain();

  expect(whileOneIsInside).toBe(false);
  expect(afterTheLast).toBe(true);
});

test("a drain that meets its deadline resolves with false and can be waited for again", async () => {
  vi.useFakeTimers();
  const gate = new AdmissionGate();
  gate.enter();

  const draining = gate.closeAndDrain(1_000);
  await vi.advanceTimersByTimeAsync(1_000);
  const outcome = await draining;
  const later = gate.drained();
  gate.leave();

  expect(outcome).toBe(false);
  expect(await later).toBe(true);
});

test("a drain that ends before its deadline leaves no timer", async () => {
  vi.useFakeTimers();
  const gate = new AdmissionGate();
  gate.enter();

  const draining = gate.closeAndDrain(1_000);
  gate.leave();
  await draining;

  expect(vi.getTimerCount()).toBe(0);
});

test("leaving twice or after the drain is harmless [seed 87]", async () => {
  const gate = new AdmissionGate();
  const admission = gate.admit();
  gate.enter();
  admission[Symbol.dispose]();
  admission[Symbol.dispose]();
  const afterDouble = gate.inFlight;
  gate.leave();
  await gate.closeAndDrain();

  gate.leave();
  admission[Symbol.dispose]();

  expect(afterDouble).toBe(1);
  expect(gate.inFlight).toBe(0);
});

test("of many that race with closing, each is either refused or waited for [seed 87]", async () => {
  const gate = new AdmissionGate();
  let finished = 0;
  let finishedAtDrain = -1;

  const callers = Array.from({ length: 100 }, async (_, n) => {
    for (let turn = 0; turn < n % 10; turn += 1) await Promise.resolve();
    if (!gate.enter()) return "refused";
    for (let turn = 0; turn < n % 7; turn += 1) await Promise.resolve();
    finished += 1;
    gate.leave();
    return "finished";
  });
  const closer = (async () => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    await gate.closeAndDrain();
    finishedAtDrain = finished;
  })();
  const outcomes = await Promise.all(callers);
  await closer;

  const finishedInAll = outcomes.filter((outcome) => outcome === "finished").length;
  expect(finishedAtDrain).toBe(finishedInAll);
  expect(finishedInAll).toBeGreaterThan(0);
  expect(finishedInAll).toBeLessThan(100);
});

async function settleMicrotasks(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
