import { expect, test } from "vitest";
import { SpokenFamily } from "./spoken-family.ts";

test.for([
  ["2026-07-28", "stateless", true],
  ["2025-11-25", "sessionful", false],
  ["2024-11-05", "sessionful", false],
] as const)("a backend pinned to %s is %s, whatever it shows", ([revision, family, mustAsk]) => {
  const spoken = new SpokenFamily(revision);

  spoken.confirm("sessionful");
  spoken.confirm("stateless");

  expect(spoken.known).toBe(family);
  expect(spoken.mustAsk(true)).toBe(mustAsk);
  expect(spoken.doubt("stateless")).toBe(false);
});

test("while nothing is known the gateway's own look asks, and sessions do not wait for it", () => {
  const spoken = new SpokenFamily("auto");

  expect([spoken.mustAsk(true), spoken.mustAsk(false)]).toEqual([true, false]);
});

test("a backend of sessions is asked once, and by the gateway alone again after an hour", () => {
  let nowMs = 5;
  const spoken = new SpokenFamily(undefined, () => nowMs);

  spoken.confirm("sessionful");
  const atOnce = [spoken.mustAsk(true), spoken.mustAsk(false)];
  nowMs += 3_600_001;
  const later = [spoken.mustAsk(true), spoken.mustAsk(false)];

  expect(atOnce).toEqual([false, false]);
  expect(later).toEqual([true, false]);
});

test("a connection that is not of the family known by now is left at once", () => {
  const spoken = new SpokenFamily("auto", () => 0);

  spoken.confirm("sessionful");

  expect(spoken.doubt("stateless")).toBe(true);
  expect(spoken.known).toBe("sessionful");
});

test("a doubt is followed up by whoever connects next, but not so soon after the backend was asked", () => {
  let nowMs = 0;
  const spoken = new SpokenFamily("auto", () => nowMs);
  spoken.confirm("stateless");

  const soon = spoken.doubt("stateless");
  nowMs += 10_000;
  const later = spoken.doubt("stateless");
  const whileDoubted = [spoken.known, spoken.mustAsk(false)];
  spoken.confirm("sessionful");

  expect([soon, later]).toEqual([false, true]);
  expect(whileDoubted).toEqual([undefined, true]);
  expect([spoken.known, spoken.mustAsk(false)]).toEqual(["sessionful", false]);
});
