import { describe, expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { BackendHealth } from "./backend-health.ts";
import type { ProbedBackend } from "./backend-watch.ts";
import { HealthMonitor, type MonitorOptions } from "./monitor.ts";

const B1 = parseBackendName("b1");

const CIRCUIT_BREAKER = { isEnabled: true, failureThreshold: 5, openMs: 60_000 };

const FINE = { toolCount: 1, latencyMs: 1 };

function backend(
  probe: ProbedBackend["probe"],
  options: Partial<ProbedBackend> = {},
): ProbedBackend {
  return {
    name: B1,
    probe,
    startsProcess: false,
    startTimeoutMs: 1_000,
    async close() {},
    ...options,
  };
}

interface Watched {
  readonly monitor: HealthMonitor;
  readonly seen: BackendHealth[];
  readonly alive: string[];
}

function watch(backends: readonly ProbedBackend[], options: Partial<MonitorOptions> = {}): Watched {
  const seen: BackendHealth[] = [];
  const alive: string[] = [];
  const monitor = new HealthMonitor({
    intervalMs: 60_000,
    timeoutMs: 1_000,
    unhealthyThreshold: 2,
    circuitBreaker: CIRCUIT_BREAKER,
    now: () => performance.now(),
    logger: SILENT_LOGGER,
    onChange: (health) => seen.push(health),
    onAlive: (name) => alive.push(name),
    ...options,
  });
  monitor.replaceBackends(backends);
  return { seen, alive, monitor };
}

/** A backend whose probe can be told what to find, and which counts how often it was asked. */
function scripted(options: Partial<ProbedBackend> = {}) {
  const script = { isFine: true, latencyMs: 1, probes: 0, closed: 0 };
  const probed = backend(
    async () => {
      script.probes += 1;
      if (!script.isFine) throw failure();
      return { toolCount: 1, latencyMs: script.latencyMs };
    },
    { close: async () => void (script.closed += 1), ...options },
  );
  return { script, probed };
}

function failure(): VmcpError {
  return new VmcpError("backend_closed", 'Backend "b1" closed the connection');
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

function useAndFail({ breakers }: HealthMonitor, times: number, name: BackendName = B1): void {
  for (let time = 0; time < times; time += 1) {
    breakers.of(name).admit();
    breakers.of(name).failed(failure());
  }
}

const statesOf = ({ seen }: Watched): readonly string[] => seen.map(({ state }) => state);

describe("the first probe", () => {
  test("a backend that answers is healthy, its tools are counted and its answer is timed", async () => {
    const watched = watch([backend(async () => ({ toolCount: 3, latencyMs: 12 }))]);
    await using monitor = watched.monitor;

    await monitor.start();

    expect(monitor.health()).toEqual([
      {
        name: "b1",
        state: "healthy",
        sinceSeconds: 0,
        toolCount: 3,
        reason: undefined,
        latencyMs: 12,
        circuit: "closed",
        retryAfterSeconds: undefined,
      },
    ]);
    expect(watched.alive).toEqual(["b1"]);
  });

  test("a backend that was never reached is unhealthy at once, and why is said", async () => {
    const watched = watch([
      backend(async () => {
        throw failure();
      }),
    ]);
    await using monitor = watched.monitor;

    await monitor.start();

    expect(watched.seen).toMatchObject([
      { state: "unhealthy", reason: 'Backend "b1" closed the connection' },
    ]);
  });

  test("what went wrong in the gateway itself is not shown", async () => {
    const watched = watch([
      backend(async () => {
        throw new TypeError("cannot read http://user:s3cret@internal/");
      }),
    ]);
    await using monitor = watched.monitor;

    await monitor.start();

    expect(watched.seen[0]?.reason).toBe('Backend "b1" could not be probed');
  });

  test("a backend that hangs is given up after its start timeout", async () => {
    const watched = watch([backend(untilAborted, { startTimeoutMs: 10 })]);
    await using monitor = watched.monitor;

    await monitor.start();

    expect(watched.seen[0]?.reason).toBe('Backend "b1" did not answer within 10 ms');
  });
});

describe("later probes", () => {
  test("failures below the threshold only degrade, and one success heals", async () => {
    const outcomes = [true, false, false, true];
    let probes = 0;
    const watched = watch(
      [
        backend(async () => {
          probes += 1;
          if (outcomes[probes - 1] === false) throw failure();
          return FINE;
        }),
      ],
      { intervalMs: 5 },
    );
    await using monitor = watched.monitor;

    await monitor.start();

    await expect
      .poll(() => statesOf(watched))
      .toEqual(["healthy", "degraded", "unhealthy", "healthy"]);
  });

  test("a backend that answers slowly is degraded and says so [F16]", async () => {
    const { script, probed } = scripted();
    const watched = watch([probed], { intervalMs: 5 });
    await using monitor = watched.monitor;
    await monitor.start();

    script.latencyMs = 900;

    await expect
      .poll(() => monitor.health())
      .toMatchObject([{ state: "degraded", reason: 'Backend "b1" answers slowly (900 ms)' }]);
  });

  test("a backend whose probe would start a process is not probed again while it is well", async () => {
    const { script, probed } = scripted({ startsProcess: true });
    const other = scripted({ name: parseBackendName("b2") });
    await using monitor = watch([probed, other.probed], { intervalMs: 5 }).monitor;

    await monitor.start();

    await expect.poll(() => other.script.probes).toBeGreaterThan(2);
    expect(script.probes).toBe(1);
  });

  test("one that hangs keeps no other from being probed", async () => {
    const hanging = backend(untilAborted, { name: parseBackendName("b2") });
    const { script, probed } = scripted();
    await using monitor = watch([hanging, probed], { intervalMs: 5 }).monitor;

    void monitor.start();

    await expect.poll(() => script.probes).toBeGreaterThan(2);
  });

  test("closing aborts the probe under way, closes what was kept and tells nobody", async () => {
    let closed = 0;
    const watched = watch([backend(untilAborted, { close: async () => void (closed += 1) })]);
    const starting = watched.monitor.start();

    await watched.monitor[Symbol.asyncDispose]();

    await starting;
    expect(watched.seen).toEqual([]);
    expect(closed).toBe(1);
  });
});

describe("uses and probes together", () => {
  test("uses that fail degrade a backend, and as many as the breaker bears make it unhealthy", async () => {
    const { probed } = scripted();
    const watched = watch([probed]);
    await using monitor = watched.monitor;
    await monitor.start();

    useAndFail(monitor, 5);

    expect(statesOf(watched)).toEqual(["healthy", "degraded", "unhealthy"]);
    expect(monitor.health()).toMatchObject([{ circuit: "open", state: "unhealthy" }]);
    expect(monitor.health()[0]?.retryAfterSeconds).toBeGreaterThan(50);
  });

  test("a use that succeeds heals what uses had degraded", async () => {
    const { probed } = scripted();
    const watched = watch([probed]);
    await using monitor = watched.monitor;
    await monitor.start();
    useAndFail(monitor, 1);

    monitor.breakers.of(B1).admit();
    monitor.breakers.of(B1).succeeded();

    expect(statesOf(watched)).toEqual(["healthy", "degraded", "healthy"]);
  });

  test("probes that fail open the circuit, and a look ahead of its time closes it again [F15]", async () => {
    const { script, probed } = scripted();
    const watched = watch([probed], { intervalMs: 5 });
    await using monitor = watched.monitor;
    await monitor.start();
    script.isFine = false;
    await expect.poll(() => monitor.health()[0]?.circuit).toBe("open");
    watched.alive.length = 0;

    script.isFine = true;

    await expect
      .poll(() => monitor.health())
      .toMatchObject([{ circuit: "closed", state: "healthy" }]);
    expect(watched.alive).toContain("b1");
  });

  test("while a circuit is open for less than three intervals, the next probe is the use it lets through [F15]", async () => {
    const { script, probed } = scripted();
    const clock = { nowMs: 0 };
    const watched = watch([probed], {
      intervalMs: 20,
      circuitBreaker: { ...CIRCUIT_BREAKER, openMs: 50 },
      now: () => clock.nowMs,
      random: () => 0,
    });
    await using monitor = watched.monitor;
    await monitor.start();
    script.isFine = false;
    await expect.poll(() => monitor.health()[0]?.circuit).toBe("open");
    const probesWhenOpened = script.probes;

    clock.nowMs += 50;

    await expect.poll(() => script.probes).toBe(probesWhenOpened + 1);
    expect(monitor.health()[0]).toMatchObject({ circuit: "open", retryAfterSeconds: 1 });
  });

  test("sessions hear of it when a use closes the circuit", async () => {
    const { probed } = scripted();
    const clock = { nowMs: 0 };
    const watched = watch([probed], { now: () => clock.nowMs });
    await using monitor = watched.monitor;
    await monitor.start();
    useAndFail(monitor, 5);
    watched.alive.length = 0;
    clock.nowMs += 70_000;

    monitor.breakers.of(B1).admit();
    monitor.breakers.of(B1).succeeded();

    expect(watched.alive).toEqual(["b1"]);
  });

  test("a backend that starts processes is probed again once its circuit is open", async () => {
    const { script, probed } = scripted({ startsProcess: true });
    const watched = watch([probed], { intervalMs: 5 });
    await using monitor = watched.monitor;
    await monitor.start();
    const breaker = monitor.breakers.get(B1);

    for (let time = 0; time < 5; time += 1) {
      breaker?.admit();
      breaker?.failed(failure());
    }

    await expect.poll(() => script.probes).toBe(2);
    expect(monitor.health()).toMatchObject([{ circuit: "closed", state: "healthy" }]);
  });

  test("where the breaker is off, nothing is refused, whatever fails", async () => {
    const { probed } = scripted();
    await using monitor = watch([probed], {
      circuitBreaker: { ...CIRCUIT_BREAKER, isEnabled: false },
    }).monitor;
    await monitor.start();

    useAndFail(monitor, 100);

    expect(() => monitor.breakers.of(B1).admit()).not.toThrow();
    expect(monitor.health()).toMatchObject([{ circuit: "closed", state: "degraded" }]);
  });
});

test("a process that stood still blames no backend for what ran out meanwhile [F40]", async () => {
  let isHanging = false;
  let hanging = 0;
  let answered = 0;
  const probe: ProbedBackend["probe"] = async (signal) => {
    if (isHanging) {
      hanging += 1;
      return untilAborted(signal);
    }
    answered += 1;
    return FINE;
  };
  const backends = Array.from({ length: 20 }, (_value, index) =>
    backend(probe, { name: parseBackendName(`b${index}`) }),
  );
  const watched = watch(backends, {
    intervalMs: 5,
    timeoutMs: 300,
    unhealthyThreshold: 1,
    circuitBreaker: { ...CIRCUIT_BREAKER, failureThreshold: 1 },
  });
  await using monitor = watched.monitor;
  await monitor.start();
  isHanging = true;
  await expect.poll(() => hanging).toBe(backends.length);

  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  isHanging = false;
  const answeredBefore = answered;
  await expect.poll(() => answered - answeredBefore).toBeGreaterThanOrEqual(backends.length);

  expect(new Set(statesOf(watched))).toEqual(new Set(["healthy"]));
  expect(monitor.health().every(({ circuit }) => circuit === "closed")).toBe(true);
});

describe("other backends than before", () => {
  test("what stays is not disturbed, what is new is probed, what is gone is closed", async () => {
    const stays = scripted();
    const goes = scripted({ name: parseBackendName("b2") });
    const comes = scripted({ name: parseBackendName("b3") });
    await using monitor = watch([stays.probed, goes.probed]).monitor;
    await monitor.start();

    monitor.replaceBackends([comes.probed, stays.probed]);
    await monitor.left();

    await expect.poll(() => comes.script.probes).toBe(1);
    expect(monitor.health().map(({ name }) => name)).toEqual(["b3", "b1"]);
    expect([stays.script.probes, stays.script.closed, goes.script.closed]).toEqual([1, 0, 1]);
  });

  test("another backend of the same name starts with a clean slate", async () => {
    const before = scripted();
    const after = scripted();
    await using monitor = watch([before.probed]).monitor;
    await monitor.start();
    useAndFail(monitor, 5);

    monitor.replaceBackends([after.probed]);

    expect(() => monitor.breakers.of(B1).admit()).not.toThrow();
    await expect.poll(() => monitor.health()[0]?.state).toBe("healthy");
  });
});

describe("a backend that only users can ask anything", () => {
  test("is not probed, and is unknown until a user has reached it", async () => {
    const { script, probed } = scripted({ perUser: "waiting" });
    const { monitor, alive } = watch([probed]);
    await monitor.start();
    const before = monitor.health();

    monitor.reached(B1, 3);

    expect(before).toMatchObject([{ state: "unknown", toolCount: undefined }]);
    expect(monitor.health()).toMatchObject([{ state: "healthy", toolCount: 3 }]);
    expect([script.probes, alive]).toEqual([0, []]);
    await monitor[Symbol.asyncDispose]();
  });

  test("is unhealthy while its uses fail, as any other", async () => {
    const { probed } = scripted({ perUser: "waiting" });
    const { monitor } = watch([probed]);
    await monitor.start();

    useAndFail(monitor, 5);

    expect(monitor.health()).toMatchObject([{ state: "unhealthy", circuit: "open" }]);
    await monitor[Symbol.asyncDispose]();
  });

  test.for([
    ["retried", [B1]],
    ["waiting", []],
  ] as const)("that is %s has sessions without it try again at intervals: %j", async (row) => {
    const [perUser, told] = row;
    const { probed } = scripted({ perUser });
    const { monitor, alive } = watch([probed], { intervalMs: 20 });
    const other = scripted({ name: parseBackendName("b2") });
    monitor.replaceBackends([probed, other.probed]);
    await monitor.start();

    await expect.poll(() => other.script.probes).toBeGreaterThan(3);

    expect([...new Set(alive.filter((name) => name === B1))]).toEqual(told);
    await monitor[Symbol.asyncDispose]();
  });
});
