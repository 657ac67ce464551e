import { expect, test } from "vitest";
import {
  isSessionfulRevision,
  LATEST_SESSIONFUL,
  needsVersionHeader,
  negotiateRevision,
  SESSIONFUL_REVISIONS,
} from "./revisions.ts";

test.for(SESSIONFUL_REVISIONS)("a client that asks for %s gets it", (revision) => {
  expect(negotiateRevision(revision)).toBe(revision);
  expect(isSessionfulRevision(revision)).toBe(true);
});

test.for(["1900-01-01", "2026-07-28", "", "2025-11-25 ", 20_251_125, undefined, null])(
  "a client that asks for %j gets the newest that we speak",
  (revision) => {
    expect(negotiateRevision(revision)).toBe(LATEST_SESSIONFUL);
    expect(isSessionfulRevision(revision)).toBe(false);
  },
);

test("requests name their revision from 2025-06-18 on", () => {
  expect(SESSIONFUL_REVISIONS.map(needsVersionHeader)).toEqual([false, false, true, true]);
});
