import { expect, test } from "vitest";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession, postMessage, type RawSession } from "../../support/raw-client.ts";
import type { LedgerBackend } from "../../support/scripted-backend.ts";
import { startVmcp } from "../../support/vmcp-process.ts";
import {
  backendStatusOf,
  call,
  INITIALIZE,
  probedStatusOf,
  startHanging,
  startKnobs,
} from "./knob-gateway.ts";

function pingsOf({ ledger }: LedgerBackend): number {
  return ledger.messages.filter(({ method }) => method === "ping").length;
}

const UNREACHED = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] };

test("operational.logLevel: decides what the command writes to standard error", async () => {
  const written: boolean[] = [];

  for (const logLevel of ["warn", "error"]) {
    const operational = { sessionManagementV2: true, logLevel };
    await using process = await startVmcp({ config: { ...UNREACHED, operational } });
    // The command says that it is ready after the first probe, whose failure is a warning.
    await expect.poll(async () => fetch(`${process.origin}/readyz`)).toMatchObject({ status: 200 });
    const { stderr } = await process.stop();
    written.push(stderr.includes("backend is not healthy"));
  }

  expect(written).toEqual([true, false]);
});

test("operational.timeouts.default: ends calls at every backend that names no time of its own", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { timeouts: { default: "500ms" } },
  });
  const session = await openRawSession(gateway.url);

  const { error } = await call(session, "hang");

  expect(error?.data).toMatchObject({ kind: "backend_timeout", backend: "b1" });
});

test("operational.timeouts.perWorkload: ends calls at the backend that it names", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [
      { name: "one", url: one.url },
      { name: "two", url: two.url },
    ],
    operational: { timeouts: { perWorkload: { one: "100ms" } } },
  });
  const session = await openRawSession(gateway.url);
  await startHanging(session, two, "two_hang");

  const { error } = await call(session, "one_hang");

  expect(error?.data).toMatchObject({ kind: "backend_timeout", backend: "one" });
  expect(two.ledger.cancellations).toEqual([]);
});

test("operational.failureHandling.healthCheckInterval: is how often a backend is probed", async () => {
  await using often = await startHttpLedger();
  await using seldom = await startHttpLedger();
  const failureHandling = { healthCheckInterval: "20ms" };
  await using quick = await startKnobs({
    backends: [{ name: "b1", url: often.url }],
    operational: { failureHandling },
  });
  await using usual = await startKnobs({ backends: [{ name: "b1", url: seldom.url }] });
  await Promise.all([quick.vmcp.probed(), usual.vmcp.probed()]);

  await expect.poll(() => pingsOf(often)).toBeGreaterThan(3);

  expect(pingsOf(seldom)).toBe(0);
});

test.for([
  [1, "unhealthy"],
  [1_000_000, "degraded"],
] as const)(
  "operational.failureHandling.unhealthyThreshold: %s failed probes make a backend unhealthy",
  async ([unhealthyThreshold, state]) => {
    await using ledger = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: ledger.url }],
      operational: { failureHandling: { healthCheckInterval: "20ms", unhealthyThreshold } },
    });
    const before = await probedStatusOf(gateway);

    ledger.change({ refuseWithStatus: 500 });
    await expect.poll(async () => (await backendStatusOf(gateway)).state).not.toBe("healthy");

    expect(before.state).toBe("healthy");
    expect((await backendStatusOf(gateway)).state).toBe(state);
  },
);

test("operational.failureHandling.healthCheckTimeout: gives up a probe that is not answered", async () => {
  await using ledger = await startHttpLedger();
  const start = async (healthCheckTimeout: string) =>
    startKnobs({
      backends: [{ name: "b1", url: ledger.url }],
      operational: { failureHandling: { healthCheckInterval: "200ms", healthCheckTimeout } },
    });
  await using quick = await start("50ms");
  await using patient = await start("10m");
  await Promise.all([quick.vmcp.probed(), patient.vmcp.probed()]);

  ledger.change({ ping: "hang" });
  await expect.poll(async () => (await backendStatusOf(quick)).state).not.toBe("healthy");

  expect((await backendStatusOf(quick)).reason).toContain("within 50 ms");
  expect((await backendStatusOf(patient)).state).toBe("healthy");
});

test("operational.failureHandling.partialFailureMode: fail refuses sessions while a backend is away", async () => {
  await using ledger = await startHttpLedger();
  const backends = [{ name: "up", url: ledger.url }, ...UNREACHED.backends];
  await using tolerant = await startKnobs({ backends });
  await using strict = await startKnobs({
    backends,
    operational: { failureHandling: { partialFailureMode: "fail" } },
  });

  const opened = await postMessage(tolerant.url, INITIALIZE);
  const refused = await postMessage(strict.url, INITIALIZE);

  expect(opened.status).toBe(200);
  expect(refused.status).toBe(503);
  expect(refused.text).toContain('Backend \\"b1\\"');
  expect(refused.headers["mcp-session-id"]).toBeUndefined();
});

/** A gateway whose one backend answers every call with 500 from now on, and a session with it. */
async function startFailing(
  ledger: HttpLedger,
  circuitBreaker: { enabled?: boolean; failureThreshold?: number; timeout?: string },
) {
  const gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { failureHandling: { circuitBreaker } },
  });
  await gateway.vmcp.probed();
  const session = await openRawSession(gateway.url);
  ledger.change({ refuseWithStatus: 500 });
  return { gateway, session };
}

async function kindsOf(session: RawSession, calls: number): Promise<readonly unknown[]> {
  const kinds: unknown[] = [];
  for (let index = 0; index < calls; index += 1) {
    // Each call comes after the failure of the one before.
    // oxlint-disable-next-line no-await-in-loop
    const { error } = await call(session, "count");
    kinds.push(error?.data?.["kind"]);
  }
  return kinds;
}

test("operational.failureHandling.circuitBreaker.enabled: false tries a failing backend again and again", async () => {
  await using ledger = await startHttpLedger();
  const careful = await startFailing(ledger, {});
  await using _one = careful.gateway;
  const afterFive = (await kindsOf(careful.session, 6)).at(-1);
  ledger.change({ refuseWithStatus: undefined });
  const stubborn = await startFailing(ledger, { enabled: false });
  await using _two = stubborn.gateway;

  const alwaysTried = new Set(await kindsOf(stubborn.session, 8));

  expect(afterFive).toBe("backend_unreachable");
  expect(alwaysTried).toEqual(new Set(["backend_http_5xx"]));
});

test("operational.failureHandling.circuitBreaker.failureThreshold: is after how many failures calls fail at once", async () => {
  await using ledger = await startHttpLedger();
  const { gateway, session } = await startFailing(ledger, { failureThreshold: 2 });
  await using _gateway = gateway;

  const kinds = await kindsOf(session, 4);

  expect(kinds).toEqual([
    "backend_http_5xx",
    "backend_http_5xx",
    "backend_unreachable",
    "backend_unreachable",
  ]);
});

test("operational.failureHandling.circuitBreaker.timeout: is how long a failing backend is left alone", async () => {
  await using ledger = await startHttpLedger();
  const { gateway, session } = await startFailing(ledger, { failureThreshold: 1, timeout: "10m" });
  await using _gateway = gateway;

  await kindsOf(session, 1);
  const { error } = await call(session, "count");

  // Up to a tenth is added at random.
  const seconds = Number(error?.data?.["retryAfterSeconds"]);
  expect(seconds).toBeGreaterThan(590);
  expect(seconds).toBeLessThanOrEqual(660);
});
