import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { RateLimiter, type RateLimitSettings } from "./rate-limiter.ts";

const NONE: RateLimitSettings = { shared: undefined, perUser: undefined, tools: [] };

function user(subject: string, issuer = "https://idp"): Identity {
  return { kind: "verified", issuer, subject };
}

/** A clock that stands still until it is moved. */
class Clock {
  ms = 1_000;
  readonly now = (): number => this.ms;
}

function bucket(
  maxTokens: number,
  refillPeriodMs = 60_000,
): NonNullable<RateLimitSettings["shared"]> {
  return { maxTokens, refillPeriodMs };
}

/** How many of so many calls go through. */
function passed(limiter: RateLimiter, identity: Identity, tool: string, calls: number): number {
  const waits = Array.from({ length: calls }, () => limiter.take(identity, tool));
  return waits.filter((waitMs) => waitMs === undefined).length;
}

describe("a bucket", () => {
  test("lets as many through at once as it holds, and then says when the next may come", () => {
    const clock = new Clock();
    const limiter = new RateLimiter({ ...NONE, shared: bucket(3) }, clock.now);

    expect(passed(limiter, ANONYMOUS, "t", 3)).toBe(3);
    expect(limiter.take(ANONYMOUS, "t")).toBeCloseTo(20_000);
  });

  test("fills by the time that passes, and never over its brim", () => {
    const clock = new Clock();
    const limiter = new RateLimiter({ ...NONE, shared: bucket(3) }, clock.now);
    passed(limiter, ANONYMOUS, "t", 3);

    clock.ms += 20_000;
    expect(passed(limiter, ANONYMOUS, "t", 2)).toBe(1);
    clock.ms += 10_000_000;
    expect(passed(limiter, ANONYMOUS, "t", 5)).toBe(3);
  });

  test("gives nothing for a clock that goes back", () => {
    const clock = new Clock();
    const limiter = new RateLimiter({ ...NONE, shared: bucket(1) }, clock.now);
    passed(limiter, ANONYMOUS, "t", 1);

    clock.ms -= 500_000;

    expect(passed(limiter, ANONYMOUS, "t", 1)).toBe(0);
  });

  test("lets no more through in any time than it holds and what comes back in that time", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 60 }),
        (maxTokens, refillPeriodMs, pauses) => {
          const clock = new Clock();
          const shared = { maxTokens, refillPeriodMs };
          const limiter = new RateLimiter({ ...NONE, shared }, clock.now);
          let through = 0;
          for (const pause of pauses) {
            clock.ms += pause;
            through += passed(limiter, ANONYMOUS, "t", 1);
          }
          const passedMs = pauses.reduce((sum, pause) => sum + pause, 0);

          expect(through).toBeLessThanOrEqual(
            maxTokens + (passedMs * maxTokens) / refillPeriodMs + 1e-6,
          );
        },
      ),
    );
  });
});

describe("several buckets", () => {
  test("are all asked before any is taken from, so that a refused call costs nothing elsewhere", () => {
    const clock = new Clock();
    const limiter = new RateLimiter(
      { ...NONE, shared: bucket(3), tools: [{ name: "a", shared: bucket(1), perUser: undefined }] },
      clock.now,
    );

    expect(passed(limiter, ANONYMOUS, "a", 5)).toBe(1);
    expect(passed(limiter, ANONYMOUS, "b", 5)).toBe(2);
  });

  test("the longest wait is the one that is told", () => {
    const clock = new Clock();
    const limiter = new RateLimiter(
      {
        ...NONE,
        shared: bucket(1, 1_000),
        tools: [{ name: "a", shared: bucket(1, 9_000), perUser: undefined }],
      },
      clock.now,
    );
    limiter.take(ANONYMOUS, "a");

    expect(limiter.take(ANONYMOUS, "a")).toBeCloseTo(9_000);
  });
});

describe("a bucket for each client", () => {
  const PER_USER: RateLimitSettings = { ...NONE, perUser: bucket(1) };

  test("is emptied by that client alone", () => {
    const limiter = new RateLimiter(PER_USER, new Clock().now);

    expect(passed(limiter, user("alice"), "t", 3)).toBe(1);
    expect(passed(limiter, user("bob"), "t", 3)).toBe(1);
    expect(passed(limiter, user("alice", "https://other"), "t", 3)).toBe(1);
  });

  test("does not exist for those who are not told apart", () => {
    const limiter = new RateLimiter(PER_USER, new Clock().now);

    expect(passed(limiter, ANONYMOUS, "t", 3)).toBe(3);
  });

  test("is never that of another, whatever the names are [auth A30]", () => {
    const part = fc.string({
      unit: fc.constantFrom("a", ":", "1", "tool", "user", "shared"),
      maxLength: 5,
    });
    fc.assert(
      fc.property(part, part, part, part, part, part, (iss1, sub1, tool1, iss2, sub2, tool2) => {
        fc.pre(iss1 !== iss2 || sub1 !== sub2);
        const tools = [...new Set([tool1, tool2])].map((name) => ({
          name,
          shared: undefined,
          perUser: bucket(1),
        }));
        const limiter = new RateLimiter({ ...PER_USER, tools }, new Clock().now);

        expect(passed(limiter, user(sub1, iss1), tool1, 2)).toBe(1);
        expect(passed(limiter, user(sub2, iss2), tool2, 2)).toBe(1);
      }),
    );
  });

  test.for([
    [user("a:tool:b"), "c", user("a"), "b:tool:c"],
    [user("b", "1:a"), "t", user("1:ab", ""), "t"],
    [user("x", "ab"), "t", user("bx", "a"), "t"],
  ] as const)(
    "stays apart for names that are made to collide: %j [auth A30]",
    ([first, tool1, second, tool2]) => {
      const limiter = new RateLimiter(PER_USER, new Clock().now);

      limiter.take(first, tool1);

      expect(limiter.take(second, tool2)).toBeUndefined();
    },
  );

  test("is kept for the ten thousand who were heard of last", () => {
    const limiter = new RateLimiter(PER_USER, new Clock().now);
    limiter.take(user("first"), "t");
    limiter.take(user("second"), "t");

    for (let index = 0; index < 9_999; index += 1) {
      limiter.take(user(`u${index}`), "t");
      if (index === 5_000) limiter.take(user("second"), "t");
    }

    expect(limiter.take(user("second"), "t")).toBeDefined();
    expect(limiter.take(user("first"), "t")).toBeUndefined();
  });
});

describe("other settings", () => {
  test("leave what was counted where they say the same, and begin anew where they do not", () => {
    const clock = new Clock();
    const tools = [{ name: "a", shared: bucket(1), perUser: undefined }];
    const before = new RateLimiter({ shared: bucket(2), perUser: bucket(5), tools }, clock.now);
    passed(before, user("alice"), "a", 1);

    const after = new RateLimiter(
      { shared: bucket(3), perUser: bucket(5), tools },
      clock.now,
      before,
    );

    expect(passed(after, user("alice"), "a", 1)).toBe(0);
    expect(passed(after, user("alice"), "b", 5)).toBe(3);
  });
});
