import { describe, expect, test } from "vitest";
import { LATEST_SESSIONFUL, SESSIONFUL_REVISIONS } from "../../src/mcp/revisions.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { openRawSession } from "../support/raw-client.ts";

describe.each(SESSIONFUL_REVISIONS)("a client of %s", (revision) => {
  test.for(SESSIONFUL_REVISIONS)(
    "is served from backends of %s, each side by its own revision",
    async (backendRevision) => {
      await using http = await startHttpLedger({ revision: backendRevision });
      await using stdio = await startStdioLedger({ revision: backendRevision });
      await using gateway = await startGateway({
        backends: [
          { name: "http", url: http.url },
          { name: "stdio", command: stdio.command, args: [...stdio.args] },
        ],
      });

      const session = await openRawSession(gateway.url, { revision });
      const counts = [
        await session.request("tools/call", { name: "http_count" }),
        await session.request("tools/call", { name: "stdio_count" }),
      ];

      expect(JSON.parse(session.initializeAnswer.text).result.protocolVersion).toBe(revision);
      expect(counts).toMatchObject([
        { result: { content: [{ text: "1" }] } },
        { result: { content: [{ text: "1" }] } },
      ]);
      // The header exists from 2025-06-18 on, and names what was agreed with that backend.
      const sent = http.requests.findLast(({ method }) => method === "POST");
      expect(sent?.headers["mcp-protocol-version"]).toBe(
        backendRevision >= "2025-06-18" ? backendRevision : undefined,
      );
    },
  );
});

test.for(["1900-01-01", "2026-07-28", "2099-12-31", "banana"])(
  "a client that asks for %s is offered the newest sessionful revision",
  async (revision) => {
    await using http = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "http", url: http.url }] });
    const clientInfo = { name: "x", version: "1" };

    const response = await fetch(gateway.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: revision, capabilities: {}, clientInfo },
      }),
    });

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      id: 1,
      result: { protocolVersion: LATEST_SESSIONFUL },
    });
  },
);

test("a backend that names a revision nobody speaks is left out, and the others serve", async () => {
  await using odd = await startHttpLedger({ revision: "9999-01-01" });
  await using fine = await startHttpLedger();
  await using gateway = await startGateway({
    backends: [
      { name: "odd", url: odd.url },
      { name: "fine", url: fine.url },
    ],
  });

  const session = await openRawSession(gateway.url);
  const answer = await session.request("tools/call", { name: "count" });
  const health = await gateway.vmcp.probed();

  expect(answer).toMatchObject({ result: { content: [{ text: "1" }] } });
  expect(health.find(({ name }) => name === "odd")?.reason).toContain("9999-01-01");
});
