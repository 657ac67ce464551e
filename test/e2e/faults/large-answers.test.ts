import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startSseLedger } from "../../support/ledger-sse.ts";
import { startStdioLedger } from "../../support/ledger-stdio.ts";
import { CAN_PROBE, startProbedVmcp } from "../../support/probed-vmcp.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession, type RawSession } from "../../support/raw-client.ts";
import { callText } from "../protocol-backends.ts";
import { errorOfCall } from "./fault-backends.ts";

const MIB = 1_048_576;

/** What one call of a backend may cost for good. */
const MAX_GROWTH_BYTES = 64 * MIB;

const CHUNK = Buffer.alloc(65_536, "x");

/** Writes for as long as the other side takes it. */
function pour(response: ServerResponse, head: string): void {
  response.write(head);
  const more = (): void => {
    while (!response.destroyed && response.write(CHUNK));
  };
  response.on("drain", more);
  more();
}

const BOMB = gzipSync(Buffer.alloc(64 * MIB));

const ENDLESS: readonly [string, (response: ServerResponse) => void][] = [
  [
    "a body without end",
    (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      pour(response, '{"jsonrpc":"2.0","id":"failing","result":{"a":"');
    },
  ],
  [
    "a body that announces its size",
    (response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 9 ** 9 });
      pour(response, "{");
    },
  ],
  [
    "an event without end",
    (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      pour(response, "event: message\ndata: ");
    },
  ],
  [
    "a gzip bomb",
    (response) =>
      void response
        .writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        .end(BOMB),
  ],
];

describe.runIf(CAN_PROBE)("an answer that is too large", () => {
  test("is cut at its cap on every transport, and costs no memory for good [F9] [I8]", async () => {
    await using http = await startHttpLedger({}, 2_000);
    await using sse = await startSseLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startProbedVmcp({
      config: {
        backends: [
          { name: "http", url: http.url },
          { name: "sse", transport: "sse", url: sse.url },
          { name: "stdio", command: stdio.command, args: [...stdio.args] },
        ],
        aggregation: { conflictResolution: "prefix" },
        operational: {
          sessionManagementV2: true,
          failureHandling: { circuitBreaker: { enabled: false } },
        },
      },
    });
    const session = await openRawSession(gateway.url);
    const bystander = await openRawSession(gateway.url);
    for (const name of ["http", "sse", "stdio"]) {
      // The first calls make the gateway warm, one after the other.
      // oxlint-disable-next-line no-await-in-loop
      expect(await callText(session, `${name}_count`)).toBe("1");
    }
    const before = (await gateway.report()).rssBytes;

    for (const [, answer] of ENDLESS) {
      http.interceptWith((_request, body, response) => {
        if (!body.includes('"echo"')) return false;
        answer(response);
        return true;
      });
      // As above.
      // oxlint-disable-next-line no-await-in-loop
      expect(await errorOfCall(session, "http_echo")).toMatchObject(TOO_LARGE);
    }
    expect(
      await failOver(session, "sse", () => sse.writeRaw(CHUNK), sse.ledger.calls),
    ).toMatchObject(TOO_LARGE);
    const child = stdio.aliveChildren.at(-2);
    expect(
      await failOver(session, "stdio", () => child?.writeRaw(CHUNK), stdio.ledger.calls),
    ).toMatchObject(TOO_LARGE);

    expect((await gateway.report()).rssBytes - before).toBeLessThan(MAX_GROWTH_BYTES);
    expect(await callText(session, "http_count")).toBe("2");
    expect(await callText(bystander, "stdio_count")).toBe("1");
    await waitFor(() => http.sockets <= 2);
  }, 60_000);
});

const TOO_LARGE = { data: { kind: "backend_too_large", executionState: "unknown" } };

/** Calls a backend that then says one thing without end. */
async function failOver(
  session: RawSession,
  name: string,
  say: () => void,
  calls: readonly { readonly tool: string }[],
): Promise<unknown> {
  let isAnswered = false;
  const failing = errorOfCall(session, `${name}_hang`).finally(() => {
    isAnswered = true;
  });
  await waitFor(() => calls.at(-1)?.tool === "hang");
  await waitFor(
    () => {
      say();
      return isAnswered;
    },
    { intervalMs: 1 },
  );
  return failing;
}
