import type { IncomingMessage } from "node:http";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { FailureLimiter } from "./failure-limiter.ts";

const UNKNOWN = new VmcpError("session_not_found", "Session not found");

function from(remoteAddress: string | undefined): Pick<IncomingMessage, "socket"> {
  // Nothing else of a request is looked at.
  return { socket: { remoteAddress } } as unknown as IncomingMessage;
}

function codesOf(
  limiter: FailureLimiter,
  address: string | undefined,
  times: number,
): readonly VmcpErrorCode[] {
  return Array.from({ length: times }, () => limiter.judge(from(address), UNKNOWN).code);
}

test("an address that fails too often is told to wait in place of why it failed", () => {
  const limiter = new FailureLimiter(2, () => 0);

  const codes = codesOf(limiter, "10.0.0.1", 3);

  expect(codes).toEqual(["session_not_found", "session_not_found", "rate_limited"]);
  expect(limiter.judge(from("10.0.0.1"), UNKNOWN)).toMatchObject({ retryAfterSeconds: 30 });
  expect(() => limiter.require(from("10.0.0.1"))).toThrow("Too many requests");
});

test("other addresses are not touched by it", () => {
  const limiter = new FailureLimiter(1, () => 0);
  codesOf(limiter, "10.0.0.1", 5);

  expect(codesOf(limiter, "10.0.0.2", 1)).toEqual(["session_not_found"]);
  expect(() => limiter.require(from("10.0.0.3"))).not.toThrow();
});

test("what is no guess does not count", () => {
  const limiter = new FailureLimiter(1, () => 0);
  const broken = new VmcpError("parse_error", "not JSON");

  const judged = Array.from({ length: 5 }, () => limiter.judge(from("10.0.0.1"), broken));

  expect(judged).toEqual([broken, broken, broken, broken, broken]);
  expect(limiter.size).toBe(0);
});

test("time gives failures back, and never more than there were", () => {
  let nowMs = 0;
  const limiter = new FailureLimiter(60, () => nowMs);
  codesOf(limiter, "10.0.0.1", 60);

  const atOnce = codesOf(limiter, "10.0.0.1", 1);
  nowMs = 1_000;
  const afterASecond = codesOf(limiter, "10.0.0.1", 2);
  nowMs = 3_600_000;
  const afterAnHour = codesOf(limiter, "10.0.0.1", 61);

  expect(atOnce).toEqual(["rate_limited"]);
  expect(afterASecond).toEqual(["session_not_found", "rate_limited"]);
  expect(afterAnHour.filter((code) => code === "session_not_found")).toHaveLength(60);
});

test("as many addresses are remembered as its bound says, whoever comes [auth A30]", () => {
  fc.assert(
    fc.property(fc.array(fc.ipV6()), (addresses) => {
      const limiter = new FailureLimiter(1, () => 0, 3);

      for (const address of addresses) limiter.judge(from(address), UNKNOWN);

      expect(limiter.size).toBeLessThanOrEqual(3);
    }),
  );
});

test("what another process passed on is not counted twice", () => {
  const limiter = new FailureLimiter(1, () => 0);

  expect(codesOf(limiter, undefined, 3)).not.toContain("rate_limited");
});

test("an answer that another process gave counts where its request arrived", () => {
  const limiter = new FailureLimiter(1, () => 0);

  limiter.noteStatus(from("10.0.0.1"), 404);
  limiter.noteStatus(from("10.0.0.2"), 200);

  expect(() => limiter.require(from("10.0.0.1"))).toThrow("Too many requests");
  expect(() => limiter.require(from("10.0.0.2"))).not.toThrow();
});

test.for([
  ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true],
  ["2001:db8:0:1::1", "2001:db8:0:2::1", false],
  ["10.0.0.1", "::ffff:10.0.0.1", true],
  ["10.0.0.1", "10.0.0.2", false],
] as const)("failures of %s count for %s: %s", ([failing, asking, expected]) => {
  const limiter = new FailureLimiter(1, () => 0);

  codesOf(limiter, failing, 1);

  expect(codesOf(limiter, asking, 1)).toEqual([expected ? "rate_limited" : "session_not_found"]);
});
