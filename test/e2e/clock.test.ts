import { describe, expect, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { CAN_PROBE, startProbedVmcp } from "../support/probed-vmcp.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, sendRaw } from "../support/raw-client.ts";

const HOUR_MS = 3_600_000;

const PING = { jsonrpc: "2.0", id: "ping", method: "ping" };

describe.runIf(CAN_PROBE).for([
  ["an hour ahead", HOUR_MS],
  ["an hour back", -HOUR_MS],
  ["a day ahead", 24 * HOUR_MS],
] as const)("a wall clock that is set %s", ([, shiftMs]) => {
  test("ends no session that is in use, and one that nobody uses on time [F34]", async () => {
    await using ledger = await startHttpLedger();
    await using gateway = await startProbedVmcp({
      config: {
        backends: [{ name: "b1", url: ledger.url }],
        operational: { sessionManagementV2: true, sessions: { idleTtl: "1s", absoluteTtl: "1h" } },
      },
    });
    const [left, used] = [await openRawSession(gateway.url), await openRawSession(gateway.url)];
    const stream = await used.openStream();
    await used.request("tools/call", { name: "b1_count" });

    await gateway.shiftClock(shiftMs);

    await waitFor(async () => {
      const { text } = await sendRaw(`${gateway.origin}/status`);
      return JSON.parse(text).sessions === 1;
    });
    expect((await left.post(PING)).status).toBe(404);
    expect(await used.request("tools/call", { name: "b1_count" })).toMatchObject({
      result: { content: [{ text: "2" }] },
    });
    stream.destroy();
  });

  test("changes no deadline of a call [F34]", async () => {
    await using ledger = await startHttpLedger();
    await using gateway = await startProbedVmcp({
      config: {
        backends: [
          { name: "patient", url: ledger.url, timeouts: { call: "30s" } },
          { name: "strict", url: ledger.url, timeouts: { call: "1s" } },
        ],
        operational: { sessionManagementV2: true },
      },
    });
    const session = await openRawSession(gateway.url);
    const slow = { name: "patient_slow", arguments: { ms: 1_500 } };
    const message = { jsonrpc: "2.0", id: "slow", method: "tools/call", params: slow };
    const finishing = session.post(message);
    const hanging = session.request("tools/call", { name: "strict_hang" });
    await waitFor(() => ledger.ledger.calls.length === 2);

    await gateway.shiftClock(shiftMs);

    expect(await hanging).toMatchObject({ error: { data: { kind: "backend_timeout" } } });
    expect(lastMessage(await finishing)).toMatchObject({ result: {} });
  });
});
