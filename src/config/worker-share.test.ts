import * as fc from "fast-check";
import { expect, test } from "vitest";
import { resolveConfig } from "./load-config.ts";
import { workerShareOf } from "./worker-share.ts";

const BACKENDS = [{ name: "b", url: "http://127.0.0.1:1/mcp" }];

test("the shares of all workers add up to what the file says, if it is enough for all", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 64, max: 5_000 }),
      (count, total) => {
        const config = resolveConfig({
          backends: [{ ...BACKENDS[0], maxConcurrentCalls: total }],
          limits: { callsPerProcess: total, maxConnections: total },
          operational: {
            sessions: { maxSessions: total, maxGlobalBackendStartConcurrency: total },
          },
        });

        const shares = Array.from({ length: count }, (_, index) =>
          workerShareOf(config, index, count),
        );

        const sumOf = (pick: (share: (typeof shares)[number]) => number | undefined): number =>
          shares.reduce((sum, share) => sum + (pick(share) ?? 0), 0);
        expect(sumOf(({ limits }) => limits.callsPerProcess)).toBe(total);
        expect(sumOf(({ limits }) => limits.maxConnections)).toBe(total);
        expect(sumOf(({ backends }) => backends[0]?.maxConcurrentCalls)).toBe(total);
        expect(sumOf(({ operational }) => operational.sessions.maxSessions)).toBe(total);
        expect(
          sumOf(({ operational }) => operational.sessions.maxGlobalBackendStartConcurrency),
        ).toBe(total);
      },
    ),
    { numRuns: 30 },
  );
});

test("limits on all clients are shared out, and those on each client are the same in each worker", () => {
  const bucket = { maxTokens: 5, refillPeriod: "1m" };
  const config = resolveConfig({
    backends: BACKENDS,
    incomingAuth: {
      type: "apiKey",
      apiKey: { keys: [{ id: "k", subject: "s", sha256: "0".repeat(64) }] },
    },
    rateLimiting: {
      shared: bucket,
      perUser: bucket,
      tools: [{ name: "t", shared: bucket, perUser: bucket }],
    },
  });

  const [first, second] = [workerShareOf(config, 0, 2), workerShareOf(config, 1, 2)];

  const tokens = ({ rateLimiting }: typeof config): unknown => [
    rateLimiting.shared?.maxTokens,
    rateLimiting.perUser?.maxTokens,
    rateLimiting.tools[0]?.shared?.maxTokens,
    rateLimiting.tools[0]?.perUser?.maxTokens,
  ];
  expect(tokens(first)).toEqual([3, 5, 3, 5]);
  expect(tokens(second)).toEqual([2, 5, 2, 5]);
});

test("each worker has one of everything, and what is not said stays unsaid", () => {
  const config = resolveConfig({
    backends: BACKENDS,
    operational: { sessions: { maxSessions: 1 } },
  });

  const share = workerShareOf(config, 3, 4);

  expect(share.operational.sessions.maxSessions).toBe(1);
  expect(share.limits.maxConnections).toBeUndefined();
  expect(share.limits.callsPerSession).toBe(config.limits.callsPerSession);
});
