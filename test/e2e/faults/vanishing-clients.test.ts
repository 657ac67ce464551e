import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession, sendRaw, type RawSession } from "../../support/raw-client.ts";
import { callText, messagesOn, startHttp, toolCall } from "../protocol-backends.ts";
import { startFaultGateway, TRANSPORTS } from "./fault-backends.ts";

/** Begins a POST of the session on a socket of its own and sends as much of its body as is said. */
async function startPost(
  url: string,
  { headers }: RawSession,
  body: string,
  sentBytes = body.length,
): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const all = {
    ...headers,
    host: "localhost",
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    "content-length": String(body.length),
  };
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}\r\n`);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(`POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body.slice(0, sentBytes)}`);
  return socket;
}

describe("clients", () => {
  test("that reset their connection at any point harm nothing but their own call [F19] [I10] [I12]", async () => {
    await using backend = await startHttp();
    await using gateway = await startFaultGateway([backend.entry()]);
    await gateway.vmcp.probed();
    const { calls, cancellations } = backend.backend.ledger;
    const session = await openRawSession(gateway.url);
    const bystander = await openRawSession(gateway.url);
    const undisturbed = bystander.post(toolCall(1, "slow", { ms: 500 }));

    const half = JSON.stringify(toolCall(1, "nonce", { nonce: "half" }));
    const inBody = await startPost(gateway.url, session, half, half.length - 5);
    const beforeAnswer = await startPost(
      gateway.url,
      session,
      JSON.stringify(toolCall(2, "slow", { ms: 60_000 })),
    );
    const inStream = await startPost(
      gateway.url,
      session,
      JSON.stringify(toolCall(3, "slow", { ms: 60_000, steps: 6_000 }, "p")),
    );
    await once(inStream, "data");
    await waitFor(() => calls.filter(({ tool }) => tool === "slow").length === 3);
    for (const socket of [inBody, beforeAnswer, inStream]) socket.resetAndDestroy();

    expect((await sendRaw(new URL("/health", gateway.url).href)).status).toBe(200);
    expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
    expect((await undisturbed).text).toContain("waited 500 ms");
    // An answer that had not begun can be delivered nowhere else; a stream may be come back for.
    await waitFor(() => cancellations.length > 0);
    expect(cancellations).toMatchObject([{ requestId: 2, wasInFlight: true }]);
    const { openSessions } = backend.backend;
    await session.delete();
    await waitFor(() => backend.backend.openSessions === openSessions - 1);
    expect(calls.some(({ nonce }) => nonce === "half")).toBe(false);
    expect(gateway.vmcp.sessions.sessionCount).toBe(1);
  });

  test.for(TRANSPORTS)(
    "of a backend over %s that cancel end their own call, whose late answer is dropped, and nobody else's [F20] [I2]",
    async ([, start]) => {
      await using backend = await start();
      await using gateway = await startFaultGateway([backend.entry()]);
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);
      const bystander = await openRawSession(gateway.url);
      const { calls, cancellations } = backend.backend.ledger;
      const args = { ms: 1_500, stubborn: true };
      const cancelled = session.post(toolCall("same", "slow", args));
      const undisturbed = bystander.post(toolCall("same", "slow", args));
      await waitFor(() => calls.length === 2);

      await session.post({
        jsonrpc: "2.0",
        method: "notifications/cancelled",
        params: { requestId: "same", reason: "enough" },
      });
      await waitFor(() => cancellations.length === 1);
      const answer = await cancelled;
      const other = await undisturbed;

      expect(answer.text).not.toContain("waited");
      expect(messagesOn(answer)).toEqual([]);
      expect(JSON.parse(other.text)).toMatchObject({ id: "same", result: {} });
      expect(cancellations).toMatchObject([{ reason: "enough", wasInFlight: true }]);
      expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
    },
  );
});

test("a client that resets while its session starts leaves nothing behind [F19] [I4]", async () => {
  await using ledger = await startHttpLedger({ initialize: "hang" });
  await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params });
  const nobody = { headers: {} } as const;
  // A session of nobody's has no headers of its own.
  const socket = await startPost(gateway.url, nobody as unknown as RawSession, body);
  await waitFor(() => gateway.vmcp.sessions.sessionCount === 1);

  socket.resetAndDestroy();

  await waitFor(() => gateway.vmcp.sessions.sessionCount === 0);
  ledger.change({ initialize: "answer" });
  await waitFor(() => ledger.openSessions === 0);
  expect(ledger.ledger.calls).toEqual([]);
});
