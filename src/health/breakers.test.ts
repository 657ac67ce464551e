import { describe, expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { Breakers, startUnder } from "./breakers.ts";

const B1 = parseBackendName("b1");
const B2 = parseBackendName("b2");

function setUp({ failureThreshold = 2 } = {}) {
  const clock = { nowMs: 0 };
  const lines: string[] = [];
  const note =
    (level: string): Logger["warn"] =>
    (message, fields) =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const breakers = new Breakers({
    failureThreshold,
    openMs: 60_000,
    now: () => clock.nowMs,
    random: () => 0,
    isStalled: () => false,
    logger: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    onChange() {},
  });
  return { breakers, clock, lines };
}

function unreachable(): VmcpError {
  return new VmcpError("backend_unreachable", 'Backend "b1" cannot be reached');
}

function failTwice(breakers: Breakers, backend: BackendName): void {
  for (let time = 0; time < 2; time += 1) {
    breakers.of(backend).admit();
    breakers.of(backend).failed(unreachable());
  }
}

describe("a backend that is judged by its uses", () => {
  test("its failures refuse its own callers only", () => {
    const { breakers } = setUp();
    breakers.add(B1, "uses");
    breakers.add(B2, "uses");

    failTwice(breakers, B1);

    expect(() => breakers.of(B1).admit()).toThrow(/failed 2 times in a row/);
    expect(() => breakers.of(B2).admit()).not.toThrow();
  });

  test("each change of its circuit is logged once, however many are refused", () => {
    const { breakers, clock, lines } = setUp();
    breakers.add(B1, "uses");

    failTwice(breakers, B1);
    for (let caller = 0; caller < 50; caller += 1) {
      expect(() => breakers.of(B1).admit()).toThrow(/it is tried again in 60 s/);
    }
    clock.nowMs += 60_000;
    breakers.of(B1).admit();
    breakers.of(B1).succeeded();

    expect(lines).toEqual([
      'warn circuit of a backend opened {"backend":"b1","circuit":"open","failures":2,"retryAfterSeconds":60,"reason":"Backend \\"b1\\" cannot be reached"}',
      'debug circuit of a backend lets one use through {"backend":"b1","circuit":"half-open"}',
      'info circuit of a backend closed {"backend":"b1","circuit":"closed"}',
    ]);
  });

  test("an infinite threshold never refuses", () => {
    const { breakers } = setUp({ failureThreshold: Number.POSITIVE_INFINITY });
    const breaker = breakers.add(B1, "uses");

    for (let time = 0; time < 1_000; time += 1) failTwice(breakers, B1);

    expect(() => breakers.of(B1).admit()).not.toThrow();
    expect(breaker.failures).toBe(2_000);
  });
});

describe("a backend that is judged by its starts", () => {
  test("calls that fail in running processes refuse nobody", () => {
    const { breakers } = setUp();
    breakers.add(B1, "starts");

    failTwice(breakers, B1);

    expect(breakers.get(B1)?.state).toBe("closed");
  });

  test("starts that all fail open it: further starts are refused, running processes are not", async () => {
    const { breakers } = setUp();
    const breaker = breakers.add(B1, "starts");
    const attempt = async (): Promise<never> => {
      throw unreachable();
    };

    await expect(startUnder(breaker, attempt)).rejects.toThrow(/cannot be reached/);
    await expect(startUnder(breaker, attempt)).rejects.toThrow(/cannot be reached/);

    await expect(startUnder(breaker, async () => "started")).rejects.toMatchObject({
      code: "backend_unreachable",
      executionState: "not_executed",
      retryAfterSeconds: 60,
    });
    expect(() => breakers.of(B1).admit()).not.toThrow();
  });

  test("a start that was given up by its session says nothing", async () => {
    const { breakers } = setUp();
    const breaker = breakers.add(B1, "starts");

    for (let time = 0; time < 5; time += 1) {
      const attempt = async (): Promise<never> => {
        throw new VmcpError("session_closed", "The session was closed");
      };
      await expect(startUnder(breaker, attempt)).rejects.toThrow(/closed/);
    }

    expect(breaker.failures).toBe(0);
  });
});

test("a backend without a circuit is let through", () => {
  const { breakers } = setUp();
  const breaker = breakers.add(B1, "uses");
  failTwice(breakers, B1);

  breakers.remove(breaker);

  expect(() => breakers.of(B1).admit()).not.toThrow();
});

test("removing a circuit leaves the one that has taken its place", () => {
  const { breakers } = setUp();
  const old = breakers.add(B1, "uses");
  const current = breakers.add(B1, "uses");

  breakers.remove(old);

  expect(breakers.get(B1)).toBe(current);
});

test("what becomes of a backend that lost its name to another one is not held against that one", () => {
  const { breakers } = setUp();
  const old = breakers.add(B1, "uses");
  const oldGuard = breakers.of(B1);
  oldGuard.admit();
  oldGuard.admit();

  const current = breakers.add(B1, "uses");
  oldGuard.failed(unreachable());
  oldGuard.failed(unreachable());

  expect([old.failures, old.state]).toEqual([2, "open"]);
  expect([current.failures, current.state]).toEqual([0, "closed"]);
  expect(oldGuard.admit.bind(oldGuard)).toThrow(/failed 2 times in a row/);
});
