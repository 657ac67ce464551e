import { describe, expect, test } from "vitest";
import { checkInvariants, holdingsOf } from "./invariants.ts";
import { startHttpLedger } from "./ledger-backend.ts";
import { CAN_PROBE, startProbedVmcp, type ProbedVmcp } from "./probed-vmcp.ts";
import { openRawSession, startRaw } from "./raw-client.ts";

describe.runIf(CAN_PROBE)("a gateway that is watched", () => {
  async function useOnce(gateway: ProbedVmcp): Promise<void> {
    const session = await openRawSession(gateway.url);
    await session.request("tools/call", { name: "count" });
    await session.delete();
  }

  test("holds after its use what it held before, and is told on while it holds more [I4] [I6] [I7]", async () => {
    await using ledger = await startHttpLedger({}, 2_000);
    await using gateway = await startProbedVmcp({
      config: {
        backends: [{ name: "b1", url: ledger.url }],
        operational: { sessionManagementV2: true },
      },
    });
    await useOnce(gateway);
    const before = await holdingsOf(gateway);
    const held = await openRawSession(gateway.url);
    const stream = await held.openStream();
    const idle = await startRaw(`${gateway.origin}/health`, {
      headers: { connection: "keep-alive" },
    });

    const whileHeld = await checkInvariants(gateway, before, {
      settleMs: 300,
      backends: [ledger],
      heapGrowth: 10,
    });
    stream.destroy();
    idle.destroy();
    await held.delete();
    const after = await checkInvariants(gateway, before, { backends: [ledger], heapGrowth: 0.5 });

    const found = new Set(whileHeld.map((violation) => violation.split("]")[0]?.slice(1)));
    expect(found).toEqual(new Set(["I4", "I6", "I7"]));
    expect(after).toEqual([]);
  });

  test("is late while it is blocked, and that is told [I10]", async () => {
    await using gateway = await startProbedVmcp({
      config: { backends: [{ name: "b1", url: "http://127.0.0.1:9/mcp" }] },
    });
    const before = await holdingsOf(gateway);

    await gateway.block(300);
    const found = await checkInvariants(gateway, before, { loopDelayP99Ms: 100, heapGrowth: 0.5 });

    expect(found).toEqual([expect.stringMatching(/^\[I10\] the event loop was late by \d{3} ms$/)]);
  });

  test("that is gone is told [I10]", async () => {
    await using gateway = await startProbedVmcp({
      config: { backends: [{ name: "b1", url: "http://127.0.0.1:9/mcp" }] },
    });
    const before = await holdingsOf(gateway);

    await gateway.process.stop("SIGKILL");

    expect(await checkInvariants(gateway, before)).toEqual(["[I10] /health does not answer"]);
  });
});
