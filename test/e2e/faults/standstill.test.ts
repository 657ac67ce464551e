import { describe, expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startSseLedger } from "../../support/ledger-sse.ts";
import { startStdioLedger } from "../../support/ledger-stdio.ts";
import { CAN_PROBE, startProbedVmcp } from "../../support/probed-vmcp.ts";
import { waitFor } from "../../support/quiescence.ts";
import { lastMessage, openRawSession } from "../../support/raw-client.ts";
import { answerText, toolCall } from "../protocol-backends.ts";

const STANDSTILL_MS = 2_000;

/** Shorter than the standstill: deadlines fall due in it. */
const CALL_TIMEOUT = "1s";

describe.runIf(CAN_PROBE)("a gateway that stands still for two seconds", () => {
  test("ends no call whose answer came in that time [F40] [I10]", async () => {
    await using http = await startHttpLedger();
    await using sse = await startSseLedger();
    await using stdio = await startStdioLedger();
    const timeouts = { call: CALL_TIMEOUT };
    await using gateway = await startProbedVmcp({
      config: {
        backends: [
          { name: "http", url: http.url, timeouts },
          { name: "sse", transport: "sse", url: sse.url, timeouts },
          { name: "stdio", command: stdio.command, args: [...stdio.args], timeouts },
        ],
        aggregation: { conflictResolution: "prefix" },
        operational: { sessionManagementV2: true },
      },
    });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const ledgers = [http, sse, stdio];
    const calls = ["http", "sse", "stdio"].map(async (name) =>
      session.post(toolCall(name, `${name}_slow`, { ms: 400 })),
    );
    await waitFor(() => ledgers.every(({ ledger }) => ledger.calls.length === 1));

    await gateway.block(STANDSTILL_MS);
    const answers = (await Promise.all(calls)).map((answer) => answerText(lastMessage(answer)));

    expect(answers).toEqual(["waited 400 ms", "waited 400 ms", "waited 400 ms"]);
    expect(ledgers.flatMap(({ ledger }) => ledger.cancellations)).toEqual([]);
    expect(await session.request("tools/call", { name: "http_count" })).toMatchObject({
      result: { content: [{ text: "1" }] },
    });
    stream.destroy();
  });
});
