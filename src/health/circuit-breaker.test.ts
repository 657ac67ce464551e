import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { parseBackendName } from "../domain/ids.ts";
import { CircuitBreaker, type CircuitState } from "./circuit-breaker.ts";

const OPEN_MS = 60_000;
const THRESHOLD = 5;

/** A breaker on a clock that only the test moves. */
function setUp(options: { random?: number } = {}) {
  const clock = { nowMs: 1_000, isStalled: false };
  const changes: string[] = [];
  const breaker = new CircuitBreaker({
    backend: parseBackendName("b1"),
    failureThreshold: THRESHOLD,
    openMs: OPEN_MS,
    now: () => clock.nowMs,
    random: () => options.random ?? 0,
    isStalled: () => clock.isStalled,
    onChange: ({ state }, before) => void changes.push(`${before} ${state}`),
  });
  return { breaker, clock, changes };
}

function failure(code: VmcpErrorCode = "backend_timeout"): VmcpError {
  return new VmcpError(code, `Backend "b1" ${code}`, { backend: "b1", executionState: "unknown" });
}

function use(breaker: CircuitBreaker, code?: VmcpErrorCode): void {
  breaker.admit();
  if (code === undefined) breaker.succeeded();
  else breaker.failed(failure(code));
}

function fail(breaker: CircuitBreaker, times: number): void {
  for (let time = 0; time < times; time += 1) use(breaker, "backend_timeout");
}

function opened() {
  const all = setUp();
  fail(all.breaker, THRESHOLD);
  return all;
}

describe("closed", () => {
  test("failures below the threshold refuse nobody", () => {
    const { breaker } = setUp();

    fail(breaker, THRESHOLD - 1);

    expect(breaker.state).toBe("closed");
    expect(() => breaker.admit()).not.toThrow();
  });

  test("a first failure makes one doubtful that never answered, later it takes two in a row", () => {
    const { breaker } = setUp();
    const seen = [breaker.isDoubtful];

    const bad = "backend_timeout";
    for (const code of [bad, undefined, bad, bad, undefined] as const) {
      use(breaker, code);
      seen.push(breaker.isDoubtful);
    }

    expect(seen).toEqual([false, true, false, false, true, false]);
  });

  test("a success in between starts the count anew", () => {
    const { breaker, changes } = setUp();

    fail(breaker, THRESHOLD - 1);
    use(breaker);
    fail(breaker, THRESHOLD - 1);

    expect(breaker.state).toBe("closed");
    expect(changes).toEqual(["closed closed", "closed closed", "closed closed"]);
  });

  test.for<VmcpErrorCode>([
    "backend_unreachable",
    "backend_tls",
    "backend_closed",
    "backend_timeout",
    "backend_protocol",
    "backend_http_5xx",
    "backend_session_lost",
  ])("%s counts against the backend", (code) => {
    const { breaker } = setUp();

    for (let time = 0; time < THRESHOLD; time += 1) use(breaker, code);

    expect(breaker.state).toBe("open");
  });

  test.for<VmcpErrorCode>([
    "backend_http_4xx",
    "backend_auth",
    "backend_rate_limited",
    "backend_redirect",
    "backend_too_large",
  ])("%s shows that the backend is there, as an answer does", (code) => {
    const { breaker } = setUp();
    fail(breaker, THRESHOLD - 1);

    use(breaker, code);
    fail(breaker, THRESHOLD - 1);

    expect(breaker.state).toBe("closed");
  });

  test.for<VmcpErrorCode>([
    "backend_busy",
    "session_closed",
    "shutting_down",
    "cancelled",
    "internal",
  ])("%s says nothing of the backend, neither good nor bad", (code) => {
    const { breaker } = setUp();
    fail(breaker, THRESHOLD - 1);

    use(breaker, code);
    const afterwards = breaker.failures;
    fail(breaker, 1);

    expect(afterwards).toBe(THRESHOLD - 1);
    expect(breaker.state).toBe("open");
  });

  test("what fails while this process stood still says nothing of the backend [F40]", () => {
    const { breaker, clock } = setUp();

    clock.isStalled = true;
    fail(breaker, 10 * THRESHOLD);

    expect(breaker.failures).toBe(0);
    expect(breaker.state).toBe("closed");
  });
});

describe("open", () => {
  test("a use is refused with when to come again and what was wrong", () => {
    const { breaker, clock } = opened();
    clock.nowMs += 18_001;

    expect(() => breaker.admit()).toThrow(
      expect.objectContaining({
        code: "backend_unreachable",
        executionState: "not_executed",
        backend: "b1",
        retryAfterSeconds: 42,
        message:
          'Backend "b1" failed 5 times in a row (last: backend_timeout); it is tried again in 42 s',
      }),
    );
  });

  test("however long the last failure's sentence is, the refusal stays within 300 characters", () => {
    const { breaker } = setUp();
    const long = new VmcpError("backend_closed", `Backend "b1" ${"x".repeat(5_000)}`);

    for (let time = 0; time < THRESHOLD; time += 1) {
      breaker.admit();
      breaker.failed(long);
    }

    expect(() => breaker.admit()).toThrow(/^.{1,300}$/);
  });

  test("gateways that opened at once are spread over a tenth of the time", () => {
    const early = setUp({ random: 0 });
    const late = setUp({ random: 1 });

    fail(early.breaker, THRESHOLD);
    fail(late.breaker, THRESHOLD);

    expect(early.breaker.retryInMs).toBe(OPEN_MS);
    expect(late.breaker.retryInMs).toBe(1.1 * OPEN_MS);
  });

  test("what was under way when it opened does not put off the next look", () => {
    const { breaker, clock } = setUp();
    for (let time = 0; time < THRESHOLD + 1; time += 1) breaker.admit();
    for (let time = 0; time < THRESHOLD; time += 1) breaker.failed(failure());

    clock.nowMs += OPEN_MS / 2;
    breaker.failed(failure());

    expect(breaker.retryInMs).toBe(OPEN_MS / 2);
  });

  test("an answer to what was under way closes it", () => {
    const { breaker } = setUp();
    for (let time = 0; time < THRESHOLD + 1; time += 1) breaker.admit();
    for (let time = 0; time < THRESHOLD; time += 1) breaker.failed(failure());

    breaker.succeeded();

    expect(breaker.state).toBe("closed");
  });

  test("a backend that someone else saw alive is used again at once", () => {
    const { breaker } = opened();

    breaker.seenAlive();

    expect(() => breaker.admit()).not.toThrow();
    expect(breaker.lastFailure).toBeUndefined();
  });
});

describe("half-open", () => {
  test("of fifty callers one is let through [R18]", () => {
    const { breaker, clock } = opened();
    clock.nowMs += OPEN_MS;

    const admitted = Array.from({ length: 50 }, () => breaker.tryAdmit());

    expect(admitted.filter(Boolean)).toHaveLength(1);
    expect(breaker.state).toBe("half-open");
    expect(breaker.retryAfterSeconds).toBe(1);
  });

  test("its success closes", () => {
    const { breaker, clock, changes } = opened();
    clock.nowMs += OPEN_MS;

    use(breaker);

    expect(breaker.state).toBe("closed");
    expect(breaker.failures).toBe(0);
    expect(changes.slice(1)).toEqual(["closed open", "open half-open", "half-open closed"]);
  });

  test("its failure opens again for the whole time", () => {
    const { breaker, clock } = opened();
    clock.nowMs += OPEN_MS;

    use(breaker, "backend_unreachable");

    expect(breaker.state).toBe("open");
    expect(breaker.retryInMs).toBe(OPEN_MS);
    expect(breaker.failures).toBe(THRESHOLD + 1);
  });

  test("when it was withdrawn, the next one goes in its place", () => {
    const { breaker, clock } = opened();
    clock.nowMs += OPEN_MS;
    breaker.admit();

    breaker.withdrawn();

    expect([breaker.tryAdmit(), breaker.tryAdmit()]).toEqual([true, false]);
  });

  test("the withdrawal of an older use lets no second one through", () => {
    const { breaker, clock } = setUp();
    for (let time = 0; time < THRESHOLD + 1; time += 1) breaker.admit();
    for (let time = 0; time < THRESHOLD; time += 1) breaker.failed(failure());
    clock.nowMs += OPEN_MS;
    breaker.admit();

    breaker.withdrawn();

    expect(breaker.tryAdmit()).toBe(false);
  });

  test("where nobody ever says how it ended, another one is let through after the open time", () => {
    const { breaker, clock } = opened();
    clock.nowMs += OPEN_MS;
    breaker.admit();

    clock.nowMs += OPEN_MS;

    expect(breaker.tryAdmit()).toBe(true);
  });
});

type Event = "use" | "answer" | "fail" | "refuse" | "withdraw" | "seen" | "wait" | "wait long";

const EVENT = fc.constantFrom<Event>(
  "use",
  "use",
  "answer",
  "fail",
  "fail",
  "refuse",
  "withdraw",
  "seen",
  "wait",
  "wait long",
);

/** Does one thing; what ends a use does nothing where none is out. */
function step(
  event: Event,
  { breaker, clock }: ReturnType<typeof setUp>,
  out: { count: number },
): void {
  if (event === "seen") breaker.seenAlive();
  if (event === "wait") clock.nowMs += OPEN_MS / 3;
  if (event === "wait long") clock.nowMs += 2 * OPEN_MS;
  if (event === "use" && breaker.tryAdmit()) out.count += 1;
  const isEnd =
    event === "answer" || event === "fail" || event === "refuse" || event === "withdraw";
  if (!isEnd || out.count === 0) return;
  out.count -= 1;
  if (event === "answer") breaker.succeeded();
  if (event === "fail") breaker.failed(failure());
  if (event === "refuse") breaker.failed(failure("backend_auth"));
  if (event === "withdraw") breaker.withdrawn();
}

describe("whatever happens in whatever order", () => {
  test("nobody is refused while it is closed, and half-open one use is let through at a time [R18]", () => {
    fc.assert(
      fc.property(fc.array(EVENT, { maxLength: 80 }), (events) => {
        const all = setUp();
        const { breaker, clock } = all;
        const out = { count: 0 };
        const wrong: string[] = [];
        let trialSinceMs = Number.NEGATIVE_INFINITY;
        for (const event of events) {
          const before: CircuitState = breaker.state;
          const outBefore = out.count;
          step(event, all, out);
          const isLetThrough = out.count > outBefore;
          if (event === "use" && before === "closed" && !isLetThrough) wrong.push("refused");
          const isAlone = outBefore === 0 || clock.nowMs - trialSinceMs >= OPEN_MS;
          if (before === "half-open" && isLetThrough && !isAlone) wrong.push("two at a time");
          if (isLetThrough && before !== "closed") trialSinceMs = clock.nowMs;
        }

        expect(wrong).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("once the backend answers again, it is closed after at most two open times", () => {
    fc.assert(
      fc.property(fc.array(EVENT, { maxLength: 80 }), (events) => {
        const all = setUp();
        const { breaker, clock } = all;
        const out = { count: 0 };
        for (const event of events) step(event, all, out);

        clock.nowMs += 2 * OPEN_MS;
        use(breaker);

        expect(breaker.state).toBe("closed");
      }),
      { numRuns: 1_000 },
    );
  });
});
