import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { judge, type Evidence, type HealthState } from "./backend-health.ts";

const WELL: Evidence = {
  name: parseBackendName("b1"),
  hasBeenReached: true,
  probeFailures: 0,
  probeReason: undefined,
  unhealthyThreshold: 3,
  latencyMs: 10,
  slowMs: 1_000,
  circuit: "closed",
  useFailures: 0,
  useReason: undefined,
};

test.for<readonly [string, Partial<Evidence>, HealthState, string | undefined]>([
  ["answers", {}, "healthy", undefined],
  ["was not probed yet", { hasBeenReached: undefined }, "unknown", undefined],
  ["answers as fast as is good enough", { latencyMs: 1_000 }, "healthy", undefined],
  [
    "answers slowly [F16]",
    { latencyMs: 1_001 },
    "degraded",
    'Backend "b1" answers slowly (1001 ms)',
  ],
  ["is not timed", { latencyMs: undefined }, "healthy", undefined],
  ["missed a probe", { probeFailures: 2, probeReason: "gone" }, "degraded", "gone"],
  [
    "missed as many as the threshold",
    { probeFailures: 3, probeReason: "gone" },
    "unhealthy",
    "gone",
  ],
  [
    "was never reached",
    { hasBeenReached: false, probeFailures: 1, probeReason: "gone" },
    "unhealthy",
    "gone",
  ],
  ["failed a call", { useFailures: 1, useReason: "cut" }, "degraded", "cut"],
  ["is held back", { circuit: "open", useFailures: 5, useReason: "cut" }, "unhealthy", "cut"],
  ["is tried", { circuit: "half-open", useFailures: 5, useReason: "cut" }, "unhealthy", "cut"],
  [
    "was held back before it was probed",
    { hasBeenReached: undefined, circuit: "open", useFailures: 5, useReason: "cut" },
    "unhealthy",
    "cut",
  ],
])("a backend that %s is judged by that", ([, evidence, state, reason]) => {
  expect(judge({ ...WELL, ...evidence })).toEqual({ state, reason });
});
