import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { auditFile, readAudit } from "../support/audit-records.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";
import { UNKNOWN } from "./policy-rig.ts";
import type { Gateway } from "../support/gateway.ts";
import { call, postCall, startKnobs } from "./knobs/knob-gateway.ts";

const KEYS = { alice: "alice-key-0123456789", bob: "bob-key-0123456789abc" } as const;

const WITH_KEYS: VmcpConfigInput["incomingAuth"] = {
  type: "apiKey",
  apiKey: {
    keys: Object.entries(KEYS).map(([subject, secret]) => ({ id: subject, subject, secret })),
  },
};

async function openAs(gateway: Gateway, subject: keyof typeof KEYS): Promise<RawSession> {
  return openRawSession(gateway.url, { headers: { authorization: `Bearer ${KEYS[subject]}` } });
}

function hourly(maxTokens: number): { maxTokens: number; refillPeriod: string } {
  return { maxTokens, refillPeriod: "1h" };
}

describe("a call too many", () => {
  test("is refused with 429 and when to come again, and the backend does not hear of it", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      rateLimiting: { shared: hourly(2) },
    });
    const session = await openRawSession(gateway.url);
    await call(session, "echo");
    await call(session, "echo");

    const posted = await session.post({
      jsonrpc: "2.0",
      id: 9,
      method: "tools/call",
      params: { name: "echo", arguments: {} },
    });

    expect(posted.status).toBe(429);
    const waitSeconds = Number(posted.headers["retry-after"]);
    expect(waitSeconds).toBeGreaterThan(1_700);
    expect(waitSeconds).toBeLessThanOrEqual(1_800);
    expect(JSON.parse(posted.text)).toMatchObject({
      id: 9,
      error: {
        code: 429,
        data: {
          kind: "rate_limited",
          executionState: "not_executed",
          retryAfterSeconds: waitSeconds,
        },
      },
    });
    expect(backend.ledger.calls).toHaveLength(2);
  });

  test("of one client leaves the others theirs", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      incomingAuth: WITH_KEYS,
      rateLimiting: { perUser: hourly(1) },
    });
    const [alice, again, bob] = [
      await openAs(gateway, "alice"),
      await openAs(gateway, "alice"),
      await openAs(gateway, "bob"),
    ];

    expect((await postCall(alice, "echo")).status).toBe(200);
    expect((await postCall(again, "echo")).status).toBe(429);
    expect((await postCall(bob, "echo")).status).toBe(200);
  });

  test("of one tool leaves the others, and names that do not exist cost nothing", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      rateLimiting: { shared: hourly(2), tools: [{ name: "echo", shared: hourly(1) }] },
    });
    const session = await openRawSession(gateway.url);
    const statuses: number[] = [];

    for (const name of ["nope", "echo", "echo", "whoami", "whoami"]) {
      // One after the other: which of them is refused depends on those before.
      // oxlint-disable-next-line no-await-in-loop
      statuses.push((await postCall(session, name)).status);
    }

    expect(statuses).toEqual([200, 200, 429, 200, 429]);
  });

  test("is on record as denied", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      audit: { enabled: true, logFile },
      rateLimiting: { shared: hourly(1) },
    });
    const session = await openRawSession(gateway.url);

    await call(session, "echo");
    await call(session, "echo");

    const outcomes = readAudit(logFile)
      .filter(
        ({ type, metadata }) => type === "mcp_tool_call" && metadata.extra?.["phase"] === "end",
      )
      .map(({ outcome, metadata }) => [outcome, metadata.extra?.["error_kind"]]);
    expect(outcomes).toEqual([
      ["success", undefined],
      ["denied", "rate_limited"],
    ]);
  });

  test("that a policy denies anyhow does not use up what others may", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      incomingAuth: {
        ...WITH_KEYS,
        authz: {
          type: "cedar",
          policies: ['permit(principal == Client::"alice", action, resource);'],
        },
      },
      rateLimiting: { shared: hourly(1) },
    });
    const [alice, bob] = [await openAs(gateway, "alice"), await openAs(gateway, "bob")];

    expect(await postCall(bob, "echo")).toMatchObject(UNKNOWN);
    expect((await postCall(alice, "echo")).status).toBe(200);
  });
});

describe("a reload", () => {
  test("with other limits counts by them at once, and one without them gives nothing back", async () => {
    await using backend = await startHttpLedger();
    const config = (
      shared: ReturnType<typeof hourly>,
      more: VmcpConfigInput = {},
    ): VmcpConfigInput => ({
      backends: [{ name: "b1", url: backend.url }],
      aggregation: { conflictResolution: "prefixOnConflict" },
      operational: {
        sessionManagementV2: true,
        sessions: { drainDeadline: "50ms", startDeadline: "15s" },
      },
      server: { port: 0 },
      rateLimiting: { shared },
      ...more,
    });
    await using gateway = await startKnobs(config(hourly(1)));
    const session = await openRawSession(gateway.url);
    await call(session, "echo");

    const same = await gateway.vmcp.reload(config(hourly(1), { groupRef: "other" }));
    expect(same.changes).toEqual([{ kind: "setting_changed", path: "groupRef" }]);
    expect((await postCall(session, "echo")).status).toBe(429);

    const other = await gateway.vmcp.reload(config(hourly(2), { groupRef: "other" }));
    expect(other.changes).toEqual([{ kind: "setting_changed", path: "rateLimiting" }]);
    expect((await postCall(session, "echo")).status).toBe(200);
  });
});
