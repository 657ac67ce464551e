import { describe, expect, onTestFinished, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { freePort, startEverythingServer } from "../support/npm-servers.ts";
import { openRawSession } from "../support/raw-client.ts";

const START_DEADLINE_MS = 300;

const QUICK_START = {
  operational: {
    sessionManagementV2: true,
    sessions: { startDeadline: `${START_DEADLINE_MS}ms` },
    failureHandling: { healthCheckInterval: "100ms" },
  },
} as const;

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("a backend that hangs delays nobody, and its tools join with list_changed [A4]", async () => {
    await using everything = await startEverythingServer();
    await using hanging = await startHttpLedger({ initialize: "hang" });
    await using gateway = await startGateway({
      backends: [
        { name: "everything", url: everything.url },
        { name: "late", url: hanging.url },
      ],
      ...QUICK_START,
    });

    await using client = await connect(gateway.url);
    await expect.poll(async () => client.toolNames()).toContain("echo");
    const before = await client.toolNames();
    hanging.change({ initialize: "answer" });

    expect(before).not.toContain("count");
    await expect
      .poll(() => client.notifications.map(({ method }) => method))
      .toContain("notifications/tools/list_changed");
    await expect.poll(async () => client.toolNames()).toContain("count");
    expect(await client.callText("count")).toBe("1");
  });

  test("a session without any backend says why, and fills when one recovers [A7]", async () => {
    const port = await freePort();
    await using ledger = await startHttpLedger({ refuseWithStatus: 500 });
    await using gateway = await startGateway({
      backends: [
        { name: "gone", url: `http://127.0.0.1:${port}/mcp` },
        { name: "ill", url: ledger.url },
      ],
      ...QUICK_START,
    });

    await using client = await connect(gateway.url);
    const before = await client.toolNames();
    ledger.change({ refuseWithStatus: undefined });

    expect(before).toEqual([]);
    expect(client.instructions).toContain("every backend failed");
    expect(client.instructions).toContain('"gone"');
    await expect
      .poll(() => client.notifications.map(({ method }) => method))
      .toContain("notifications/tools/list_changed");
    expect(await client.callText("count")).toBe("1");
  });

  test("one of ten backends hangs: nine serve at once and the tenth joins later [B14]", async () => {
    const backends = await Promise.all(
      Array.from({ length: 10 }, async (_value, index) =>
        startHttpLedger({ initialize: index === 9 ? "hang" : "answer" }),
      ),
    );
    onTestFinished(async () => {
      await Promise.all(backends.map(async (backend) => backend.close()));
    });
    await using gateway = await startGateway({
      backends: backends.map(({ url }, index) => ({ name: `b${index}`, url })),
      ...QUICK_START,
      aggregation: { conflictResolution: "prefix" },
    });

    await using client = await connect(gateway.url);
    const countNames = async (): Promise<readonly string[]> =>
      (await client.toolNames()).filter((name) => name.endsWith("_count"));
    await expect.poll(countNames).toHaveLength(9);
    const served = await Promise.all(
      backends.slice(0, 9).map(async (_backend, index) => client.callText(`b${index}_count`)),
    );
    backends[9]?.change({ initialize: "answer" });

    expect(served).toEqual(Array.from({ length: 9 }, () => "1"));
    await expect.poll(countNames).toContain("b9_count");
  });
});

test("initialize is answered by its deadline however many sessions start while a backend hangs [B14]", async () => {
  await using fine = await startHttpLedger();
  await using hanging = await startHttpLedger({ initialize: "hang" });
  await using gateway = await startGateway({
    backends: [
      { name: "fine", url: fine.url },
      { name: "late", url: hanging.url },
    ],
    ...QUICK_START,
  });

  const sessions = await Promise.all(
    Array.from({ length: 20 }, async () => openRawSession(gateway.url)),
  );
  const counts = await Promise.all(
    sessions.map(async (session) => session.request("tools/call", { name: "count" })),
  );

  // Had the deadline not held, the sessions would have waited for the start timeout, which is 30 s.
  expect(new Set(sessions.map(({ id }) => id)).size).toBe(20);
  expect(counts.every((answer) => JSON.stringify(answer).includes('"text":"1"'))).toBe(true);
});
