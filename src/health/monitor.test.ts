import { describe, expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { HealthMonitor, type BackendHealth, type ProbedBackend } from "./monitor.ts";

const OPTIONS = {
  intervalMs: 60_000,
  timeoutMs: 1_000,
  unhealthyThreshold: 2,
  logger: SILENT_LOGGER,
} as const;

function backend(
  probe: ProbedBackend["probe"],
  options: Partial<ProbedBackend> = {},
): ProbedBackend {
  return {
    name: parseBackendName("b1"),
    probe,
    isProbedAgain: true,
    startTimeoutMs: 1_000,
    ...options,
  };
}

function monitor(
  backends: readonly ProbedBackend[],
  options: { intervalMs?: number } = {},
): { readonly monitor: HealthMonitor; readonly seen: BackendHealth[]; readonly alive: string[] } {
  const seen: BackendHealth[] = [];
  const alive: string[] = [];
  return {
    seen,
    alive,
    monitor: new HealthMonitor({
      ...OPTIONS,
      ...options,
      backends,
      onChange: (health) => seen.push(health),
      onAlive: (name) => alive.push(name),
    }),
  };
}

describe("the first probe", () => {
  test("a backend that answers is healthy and its tools are counted", async () => {
    const watch = monitor([backend(async () => ({ toolCount: 3 }))]);
    await using running = watch.monitor;

    await running.start();

    expect(running.health()).toEqual([
      { name: "b1", state: "healthy", toolCount: 3, reason: undefined },
    ]);
    expect(watch.alive).toEqual(["b1"]);
  });

  test("a backend that was never reached is unhealthy at once, and why is said", async () => {
    const watch = monitor([
      backend(async () => {
        throw new Error("connection refused");
      }),
    ]);
    await using running = watch.monitor;

    await running.start();

    expect(watch.seen).toMatchObject([{ state: "unhealthy", reason: "connection refused" }]);
  });

  test("a backend that hangs is given up after its start timeout", async () => {
    const watch = monitor([
      backend(
        async (signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          }),
        { startTimeoutMs: 10 },
      ),
    ]);
    await using running = watch.monitor;

    await running.start();

    expect(watch.seen[0]?.reason).toBe('Backend "b1" did not answer within 10 ms');
  });
});

describe("later probes", () => {
  test("failures below the threshold only degrade, and one success heals", async () => {
    const outcomes = [true, false, false, true];
    let probes = 0;
    const watch = monitor(
      [
        backend(async () => {
          const isFine = outcomes[probes] ?? true;
          probes += 1;
          if (!isFine) throw new Error("no");
          return { toolCount: 1 };
        }),
      ],
      { intervalMs: 5 },
    );
    await using running = watch.monitor;

    await running.start();

    await expect
      .poll(() => watch.seen.map(({ state }) => state))
      .toEqual(["healthy", "degraded", "unhealthy", "healthy"]);
  });

  test("a backend whose probe would start a process is not probed again while healthy", async () => {
    let probes = 0;
    let others = 0;
    const watch = monitor(
      [
        backend(
          async () => {
            probes += 1;
            return { toolCount: 1 };
          },
          { isProbedAgain: false },
        ),
        backend(async () => {
          others += 1;
          return { toolCount: 1 };
        }),
      ],
      { intervalMs: 5 },
    );
    await using running = watch.monitor;

    await running.start();

    await expect.poll(() => others).toBeGreaterThan(2);
    expect(probes).toBe(1);
  });

  test("closing aborts the probe under way and tells nobody", async () => {
    const watch = monitor([
      backend(
        async (signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          }),
      ),
    ]);
    const starting = watch.monitor.start();

    await watch.monitor[Symbol.asyncDispose]();

    await starting;
    expect(watch.seen).toEqual([]);
  });
});
