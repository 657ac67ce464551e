import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { expect, test } from "vitest";
import { textOf } from "./clients.ts";
import { startSseLedger, type SseLedger } from "./ledger-sse.ts";
import { noncesOf } from "./ledger.ts";
import { waitFor } from "./quiescence.ts";

async function connectSse(ledger: SseLedger): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new SSEClientTransport(new URL(ledger.url)));
  return client;
}

test("each stream is a session whose calls the ledger records", async () => {
  await using ledger = await startSseLedger({ name: "streamed" });
  const first = await connectSse(ledger);
  const second = await connectSse(ledger);

  const counts = [
    await first.callTool({ name: "count" }),
    await first.callTool({ name: "count" }),
    await second.callTool({ name: "count" }),
  ].map(textOf);
  await second.callTool({ name: "nonce", arguments: { nonce: "n1" } });

  expect(counts).toEqual(["1", "2", "1"]);
  expect(noncesOf(ledger.ledger)).toEqual(["n1"]);
  expect(ledger.openSessions).toBe(2);
  await Promise.all([first.close(), second.close()]);
  await waitFor(() => ledger.openSessions === 0);
});

test("a session that is forgotten loses its stream, and its address is unknown", async () => {
  await using ledger = await startSseLedger();
  const client = await connectSse(ledger);

  ledger.forgetSessions();
  await waitFor(() => ledger.openSessions === 0);

  await expect(client.ping()).rejects.toThrow("404");
  await client.close();
});

test.for([
  ["die-before", 0],
  ["die-after", 1],
] as const)("a session whose fate is to %s has executed %i calls", async ([callFate, executed]) => {
  await using ledger = await startSseLedger({ callFate });
  const client = await connectSse(ledger);
  const call = client.callTool({ name: "nonce", arguments: { nonce: "n1" } });
  const outcome = call.catch(() => "failed");

  await waitFor(() => ledger.ledger.deletes.length === 1);
  await client.close();

  expect(await outcome).toBe("failed");
  expect(ledger.ledger.calls).toHaveLength(executed);
});
