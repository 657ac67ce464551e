import { describe, expect, onTestFinished, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import type { Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";
import { call, callText, startKnobs, statusOf, toolNamesOf } from "./knobs/knob-gateway.ts";

type Operational = NonNullable<VmcpConfigInput["operational"]>;
type FailureHandling = NonNullable<Operational["failureHandling"]>;
type Sessions = NonNullable<Operational["sessions"]>;

type Backends = VmcpConfigInput["backends"];

async function startWith(
  backends: Backends,
  failureHandling: FailureHandling = {},
  startDeadline = "5s",
): Promise<Gateway> {
  const gateway = await startKnobs({
    backends,
    operational: { failureHandling, sessions: { startDeadline } },
  });
  onTestFinished(async () => gateway.vmcp.close());
  return gateway;
}

async function startLedgers(count: number): Promise<readonly HttpLedger[]> {
  const ledgers = await Promise.all(Array.from({ length: count }, async () => startHttpLedger()));
  onTestFinished(async () => {
    await Promise.all(ledgers.map(async (ledger) => ledger.close()));
  });
  return ledgers;
}

interface BackendStatus {
  readonly name: string;
  readonly state: string;
  readonly sinceSeconds: number;
  readonly tools?: number;
  readonly reason?: string;
  readonly latencyMs?: number;
  readonly circuit: { readonly state: string; readonly retryAfterSeconds?: number };
}

async function backendsOf(gateway: Gateway): Promise<readonly BackendStatus[]> {
  const { backends } = await statusOf(gateway);
  // The page lists every configured backend in this shape.
  return backends as unknown as readonly BackendStatus[];
}

async function circuitOf(gateway: Gateway): Promise<string | undefined> {
  return (await backendsOf(gateway))[0]?.circuit.state;
}

/** Calls one after the other and returns what the errors say; undefined where there was none. */
async function failuresOf(
  session: RawSession,
  times: number,
): Promise<readonly (JsonObject | undefined)[]> {
  const failures: (JsonObject | undefined)[] = [];
  for (let time = 0; time < times; time += 1) {
    // Each call comes after the failure of the one before.
    // oxlint-disable-next-line no-await-in-loop
    failures.push((await call(session, "count")).error?.data);
  }
  return failures;
}

/** Calls until the backend is held back: a machine that stands still forgives it some of its failures. */
async function callUntilHeldBack(session: RawSession): Promise<void> {
  await expect
    .poll(async () => {
      const [failure] = await failuresOf(session, 1);
      return failure?.["retryAfterSeconds"];
    })
    .toBeGreaterThan(0);
}

function countOf({ ledger }: HttpLedger, method: string): number {
  return ledger.messages.filter((message) => message.method === method).length;
}

describe("a backend that is down", () => {
  test("its tools stay listed, and calls of them name it instead of not finding the tool [A6]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }]);
    const session = await openRawSession(gateway.url);
    await ledger.stopListening();

    const [first] = await failuresOf(session, 1);
    await callUntilHeldBack(session);
    const { error } = await call(session, "count");

    expect(await toolNamesOf(session)).toContain("count");
    expect(first).toMatchObject({ kind: "backend_unreachable", backend: "b1" });
    expect(error?.message).toMatch(
      /^Backend "b1" failed 5 times in a row \(last: .+\); it is tried again in \d+ s$/,
    );
    expect(error?.data).toMatchObject({ executionState: "not_executed" });
  });

  test("a session that begins while it is held back lists its tools too, and does not wait for it [A6]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {}, "10m");
    await callUntilHeldBack(await failingSession(gateway, ledger));
    ledger.change({ refuseWithStatus: undefined, initialize: "hang" });

    const session = await openRawSession(gateway.url);
    const { error } = await call(session, "count");

    expect(await toolNamesOf(session)).toContain("count");
    expect(error?.data).toMatchObject({ kind: "backend_unreachable", backend: "b1" });
    expect(error?.data?.["retryAfterSeconds"]).toBeGreaterThan(0);
  });

  test.each(CLIENTS)(
    "when all are held back, a session of %s lives and says why, and fills on recovery [A7]",
    async (_name, connect) => {
      const ledgers = await startLedgers(2);
      for (const ledger of ledgers) ledger.change({ refuseWithStatus: 503 });
      const gateway = await startWith(
        ledgers.map(({ url }, index) => ({ name: `b${index}`, url })),
        { healthCheckInterval: "50ms", circuitBreaker: { failureThreshold: 2 } },
      );
      await expect
        .poll(async () => (await backendsOf(gateway)).map(({ circuit }) => circuit.state))
        .toEqual(["open", "open"]);

      await using client = await connect(gateway.url);
      const before = await client.toolNames();
      for (const ledger of ledgers) ledger.change({ refuseWithStatus: undefined });

      expect(before).toEqual([]);
      expect(client.instructions).toContain("every backend failed");
      await expect
        .poll(() => client.notifications.map(({ method }) => method))
        .toContain("notifications/tools/list_changed");
      await expect.poll(async () => client.toolNames()).toContain("b1_count");
      expect(await client.callText("b0_count")).toBe("1");
    },
  );

  test("a session that began without it gets it when its circuit lets a probe through [A7]", async () => {
    await using ledger = await startHttpLedger({ refuseWithStatus: 500 });
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "400ms",
      circuitBreaker: { failureThreshold: 1, timeout: "1s" },
    });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const before = await toolNamesOf(session);

    ledger.change({ refuseWithStatus: undefined });

    expect(before).toEqual([]);
    await expect.poll(async () => toolNamesOf(session)).toContain("count");
    expect(await circuitOf(gateway)).toBe("closed");
  });
});

test.each(CLIENTS)(
  "a backend that comes back with other tools reaches the idle session of %s by list_changed",
  async (_name, connect) => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "50ms",
      circuitBreaker: { failureThreshold: 2 },
    });
    await using client = await connect(gateway.url);
    await expect.poll(() => ledger.openStreams).toBe(1);

    await ledger.stopListening();
    ledger.forgetSessions();
    ledger.change({ tools: ['{"name":"late","inputSchema":{"type":"object"}}'] });
    await expect.poll(async () => circuitOf(gateway)).toBe("open");
    await ledger.listen();

    await expect
      .poll(() => client.notifications.map(({ method }) => method))
      .toContain("notifications/tools/list_changed");
    expect(await client.toolNames()).toContain("late");
  },
);

/** A session whose calls all fail from now on. */
async function failingSession(gateway: Gateway, ledger: HttpLedger): Promise<RawSession> {
  await gateway.vmcp.probed();
  const session = await openRawSession(gateway.url);
  ledger.change({ refuseWithStatus: 500 });
  return session;
}

describe("a backend that flaps", () => {
  test("after five failures it is left alone, however many call; one is let through to see [F15] [R18]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      // Longer than fifty calls take on a machine that does other work.
      circuitBreaker: { timeout: "3s" },
    });
    const session = await failingSession(gateway, ledger);
    await callUntilHeldBack(session);
    const requestsWhenOpened = ledger.requests.length;

    const refused = await failuresOf(session, 50);
    const requestsWhileOpen = ledger.requests.length - requestsWhenOpened;
    await expect.poll(() => ledger.requests.length).toBeGreaterThan(requestsWhenOpened);
    const refusedAgain = await failuresOf(session, 50);

    expect(requestsWhileOpen).toBe(0);
    for (const data of [...refused, ...refusedAgain]) {
      expect(data).toMatchObject({ kind: "backend_unreachable", executionState: "not_executed" });
    }
    expect(ledger.requests.length - requestsWhenOpened).toBe(1);
  });

  test("of fifty calls at once that find it half-open, at most one reaches the backend [R18]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      circuitBreaker: { timeout: "1s" },
    });
    const sessions = await Promise.all(
      Array.from({ length: 5 }, async () => openRawSession(gateway.url)),
    );
    const [first] = sessions;
    if (first === undefined) throw new Error("there are five");
    await gateway.vmcp.probed();
    ledger.change({ refuseWithStatus: 500 });
    await callUntilHeldBack(first);
    const before = ledger.requests.length;
    // Whoever comes first, a call or a probe, finds that nobody answers and leaves the others refused.
    ledger.change({ refuseWithStatus: undefined, ping: "hang", callFate: "hang" });
    await expect.poll(() => ledger.requests.length).toBe(before + 1);

    const failures = await Promise.all(
      sessions.map(async (session) =>
        Promise.all(Array.from({ length: 10 }, async () => (await call(session, "count")).error)),
      ),
    );

    expect(failures.flat().map((error) => error?.data?.["kind"])).toEqual(
      Array.from({ length: 50 }, () => "backend_unreachable"),
    );
    expect(ledger.requests.length).toBe(before + 1);
    expect(await circuitOf(gateway)).toBe("half-open");
  });

  test("it is used again as soon as one answer came [F15]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      circuitBreaker: { timeout: "1s" },
    });
    const session = await failingSession(gateway, ledger);
    await callUntilHeldBack(session);
    const whenOpen = await circuitOf(gateway);

    ledger.change({ refuseWithStatus: undefined });

    expect(whenOpen).toBe("open");
    await expect.poll(async () => circuitOf(gateway)).toBe("closed");
    expect(await callText(session, "count")).toBe("1");
  });

  test("errors that a caller brought about never hold others back", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }]);
    const session = await openRawSession(gateway.url);

    ledger.change({ refuseWithStatus: 403 });
    await failuresOf(session, 20);
    ledger.change({ refuseWithStatus: undefined });

    expect(await callText(session, "count")).toBe("1");
  });
});

describe("children", () => {
  test("one that crashes again and again refuses nobody else, nor its own session", async () => {
    await using stdio = await startStdioLedger();
    const { command, args } = stdio;
    const gateway = await startWith([{ name: "b1", command, args: [...args] }]);
    const [one, other] = await Promise.all([
      openRawSession(gateway.url),
      openRawSession(gateway.url),
    ]);
    const crashes: unknown[] = [];

    for (let time = 0; time < 3; time += 1) {
      // Each crash ends the child that the next call has to start anew.
      // oxlint-disable-next-line no-await-in-loop
      crashes.push((await call(one, "crash")).error?.data?.["kind"]);
    }

    expect(crashes).toEqual(["backend_closed", "backend_closed", "backend_closed"]);
    expect(await callText(other, "count")).toBe("1");
    expect(await circuitOf(gateway)).toBe("closed");
  });

  test("a program whose every start fails is left alone, and a session does not wait for it", async () => {
    const gateway = await startWith(
      [{ name: "b1", command: process.execPath, args: ["-e", "process.exit(3)"] }],
      { circuitBreaker: { failureThreshold: 3 } },
    );
    await gateway.vmcp.probed();

    const first = await openRawSession(gateway.url);
    const second = await openRawSession(gateway.url);
    const third = await openRawSession(gateway.url);

    expect(await circuitOf(gateway)).toBe("open");
    expect(await toolNamesOf(first)).toEqual([]);
    expect(second.initializeAnswer.text).toContain("b1");
    expect(third.initializeAnswer.text).toContain("failed 3 times in a row");
  });
});

describe("a backend that is slow or hangs", () => {
  test("slow answers degrade it; its tools stay and its calls work [F16]", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "50ms",
      healthCheckTimeout: "4s",
    });
    const session = await openRawSession(gateway.url);

    ledger.change({ pingDelayMs: 600 });

    await expect
      .poll(async () => (await backendsOf(gateway))[0])
      .toMatchObject({ state: "degraded", circuit: { state: "closed" } });
    const [status] = await backendsOf(gateway);
    expect(status?.reason).toMatch(/^Backend "b1" answers slowly \(\d+ ms\)$/);
    expect(status?.latencyMs).toBeGreaterThanOrEqual(600);
    expect(await toolNamesOf(session)).toContain("count");
    expect(await callText(session, "count")).toBe("1");
  });

  test("of twenty, three hang: however many sessions start, all are served by the others [L10] [B14]", async () => {
    const ledgers = await startLedgers(20);
    for (const ledger of ledgers.slice(0, 3)) ledger.change({ initialize: "hang" });
    for (const ledger of ledgers.slice(3, 5)) ledger.change({ initDelayMs: 300 });
    const gateway = await startMany(ledgers, {
      start: "1m",
      startDeadline: "1s",
      maxGlobalBackendStartConcurrency: 16,
    });

    const sessions = await Promise.all(
      Array.from({ length: 10 }, async () => openRawSession(gateway.url)),
    );
    const names = ledgers.slice(3).map((_ledger, index) => `b${index + 3}_count`);
    const answers = await Promise.all(
      sessions.flatMap((session) => names.map(async (name) => callText(session, name))),
    );

    expect(new Set(answers)).toEqual(new Set(["1"]));
  });

  test("once it is known which backends hang, no session waits for them [L10] [B14]", async () => {
    const ledgers = await startLedgers(5);
    const hanging = ledgers.slice(0, 3);
    for (const ledger of hanging) ledger.change({ initialize: "hang" });
    const gateway = await startMany(ledgers, { start: "500ms", startDeadline: "10m" });

    await Promise.all(Array.from({ length: 5 }, async () => openRawSession(gateway.url)));
    const known = (await backendsOf(gateway)).map(({ circuit }) => circuit.state);
    const greetings = hanging.map(({ initializeCount }) => initializeCount);
    const session = await openRawSession(gateway.url);
    const names = await toolNamesOf(session);

    expect(known).toEqual(["open", "open", "open", "closed", "closed"]);
    expect(hanging.map(({ initializeCount }) => initializeCount)).toEqual(greetings);
    expect(names.filter((name) => String(name).endsWith("_count"))).toEqual([
      "b3_count",
      "b4_count",
    ]);
  });
});

async function startMany(
  ledgers: readonly HttpLedger[],
  { start, ...sessions }: { readonly start: string } & Sessions,
): Promise<Gateway> {
  const backends = ledgers.map(({ url }, index) => ({
    name: `b${index}`,
    url,
    timeouts: { start },
  }));
  const gateway = await startKnobs({
    backends,
    aggregation: { conflictResolution: "prefix" },
    operational: { sessions },
  });
  onTestFinished(async () => gateway.vmcp.close());
  return gateway;
}

describe("probes", () => {
  test("a backend sees one session of the gateway's own, pinged, and ended with the gateway", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "20ms",
    });

    await expect.poll(() => countOf(ledger, "ping")).toBeGreaterThan(3);
    const whileOpen = ledger.probeSessions;
    await gateway.vmcp.close();

    expect(ledger.initializeCount).toBe(1);
    expect(countOf(ledger, "tools/list")).toBe(1);
    expect(whileOpen).toBe(1);
    expect(ledger.probeSessions).toBe(0);
    expect(ledger.ledger.deletes).toHaveLength(1);
  });

  test("a backend that forgets the probe's session is not ill", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "20ms",
    });
    const states = new Set<string | undefined>();
    await gateway.vmcp.probed();

    ledger.forgetSessions();
    await expect
      .poll(() => {
        states.add(gateway.vmcp.health()[0]?.state);
        return ledger.initializeCount;
      })
      .toBe(2);

    expect(states).toEqual(new Set(["healthy"]));
  });

  test("a session that begins after a backend changed its lists is offered the new ones", async () => {
    await using ledger = await startHttpLedger();
    const gateway = await startWith([{ name: "b1", url: ledger.url }], {
      healthCheckInterval: "20ms",
    });
    const before = await openRawSession(gateway.url);
    await expect
      .poll(() => ledger.requests.filter(({ method }) => method === "GET").length)
      .toBe(1);

    ledger.change({ tools: ['{"name":"late","inputSchema":{"type":"object"}}'] });
    await expect
      .poll(async () => {
        ledger.notify("notifications/tools/list_changed");
        return (await backendsOf(gateway))[0]?.tools;
      })
      .toBe((await toolNamesOf(before)).length + 1);
    const after = await openRawSession(gateway.url);

    expect(await toolNamesOf(after)).toContain("late");
  });
});

test("the status page shows how each backend is, and nothing of where it is or what it is given", async () => {
  await using fine = await startHttpLedger();
  await using ill = await startHttpLedger({ refuseWithStatus: 500 });
  const gateway = await startWith(
    [
      { name: "fine", url: fine.url, headers: { "x-key": "CANARY-header" } },
      { name: "ill", url: ill.url, headers: { "x-key": "CANARY-header" } },
    ],
    { circuitBreaker: { failureThreshold: 1 } },
  );
  await gateway.vmcp.probed();

  const [first, second] = await backendsOf(gateway);
  const page = JSON.stringify(await statusOf(gateway));

  expect(first).toEqual({
    name: "fine",
    transport: "streamable-http",
    state: "healthy",
    sinceSeconds: expect.any(Number),
    tools: expect.any(Number),
    latencyMs: expect.any(Number),
    circuit: { state: "closed" },
  });
  expect(second).toEqual({
    name: "ill",
    transport: "streamable-http",
    state: "unhealthy",
    sinceSeconds: expect.any(Number),
    reason: expect.stringMatching(/^Backend "ill" .*500/),
    circuit: { state: "open", retryAfterSeconds: expect.any(Number) },
  });
  expect(page).not.toContain("CANARY");
  expect(page).not.toContain(String(fine.port));
});
