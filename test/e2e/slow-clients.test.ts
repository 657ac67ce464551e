import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { rawAt } from "../support/raw-json.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";

const EVENT_COUNT = 4_000;
const EVENT_BYTES = 16 * 1024;

test("a client that does not read slows its own call's backend, nobody else, and misses nothing", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
  const slow = await openRawSession(gateway.url);
  const other = await openRawSession(gateway.url);
  const flood = { sent: 0 };
  backend.interceptWith((_request, body, response) => {
    if (rawAt(body, ["params", "arguments", "text"]) !== '"flood"') return false;
    void sendFlood(response, flood);
    return true;
  });

  const socket = startUnread(gateway.url, slow);
  await stalled(() => flood.sent);
  const sentWhileUnread = flood.sent;
  const answer = await other.request("tools/call", { name: "echo", arguments: { text: "hi" } });
  const received = await readToAnswer(socket);

  expect(sentWhileUnread).toBeLessThan(EVENT_COUNT);
  expect(answer).toMatchObject({ result: { content: [{ text: "hi" }] } });
  const numbers = [...received.matchAll(/"progress":(\d+)/g)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: EVENT_COUNT }, (_value, index) => index));
  socket.destroy();
}, 60_000);

test("a client that goes away for good has its call cancelled at the backend, and its session stays", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
  const session = await openRawSession(gateway.url);
  const socket = startUnread(gateway.url, session, "hang");
  await waitFor(() => backend.ledger.calls.length === 1);

  socket.destroy();

  await waitFor(() => backend.ledger.cancellations.length === 1);
  expect(await session.request("tools/call", { name: "count" })).toMatchObject({
    result: { content: [{ text: "1" }] },
  });
  expect(backend.ledger.cancellations).toMatchObject([{ wasInFlight: true }]);
});

test("closing the gateway ends every stream whole and answers what is still under way", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    operational: { sessionManagementV2: true, sessions: { drainDeadline: "200ms" } },
  });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  const lone = session.post({ ...CALL, id: 1, params: { name: "hang" } });
  const params = {
    name: "slow",
    arguments: { ms: 60_000, steps: 6_000 },
    _meta: { progressToken: 1 },
  };
  const streaming = await session.startPost({ ...CALL, id: 2, params });
  await waitFor(() => streaming.events.length > 0 && backend.ledger.calls.length === 2);

  await gateway.vmcp.close();

  await stream.ended;
  await streaming.ended;
  for (const answer of [await lone, streaming]) {
    expect(lastMessage(answer)).toMatchObject({
      error: { code: 503, data: { kind: "shutting_down", executionState: "unknown" } },
    });
  }
  await waitFor(() => backend.openSessions === 0 && backend.sockets === 0);
});

const CALL = { jsonrpc: "2.0", method: "tools/call" } as const;

/** Posts a call and reads nothing of its answer until somebody resumes the socket. */
function startUnread(url: string, { headers }: RawSession, name = "echo"): Socket {
  const { hostname, port } = new URL(url);
  const params = { name, arguments: { text: "flood" }, _meta: { progressToken: "t" } };
  const body = JSON.stringify({ ...CALL, id: "f", params });
  const all = {
    ...headers,
    host: "localhost",
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}\r\n`);
  const socket = connect(Number(port), hostname).pause();
  socket.on("error", () => socket.destroy());
  socket.write(`POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  return socket;
}

/** Sends as a well-behaved backend does: no faster than it is read. */
async function sendFlood(response: ServerResponse, flood: { sent: number }): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const pad = "x".repeat(EVENT_BYTES);
  while (flood.sent < EVENT_COUNT && !response.destroyed) {
    const params = { progressToken: "t", progress: flood.sent, message: pad };
    const event = JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params });
    flood.sent += 1;
    // The next event waits until there is room for it.
    // oxlint-disable-next-line no-await-in-loop
    if (!response.write(`data: ${event}\n\n`)) await once(response, "drain");
  }
  response.end('data: {"jsonrpc":"2.0","id":"f","result":{"content":[]}}\n\n');
}

/** Resolves when a count that has begun to grow does so no more. */
async function stalled(count: () => number): Promise<void> {
  let last = -1;
  await waitFor(
    () => {
      const isStill = count() > 0 && count() === last;
      last = count();
      return isStill;
    },
    { intervalMs: 300, timeoutMs: 30_000 },
  );
}

async function readToAnswer(socket: Socket): Promise<string> {
  const chunks: string[] = [];
  socket.setEncoding("latin1").on("data", (chunk: string) => chunks.push(chunk));
  socket.resume();
  await waitFor(() => chunks.slice(-2).join("").includes('"result":{"content":[]}'), {
    timeoutMs: 30_000,
  });
  return chunks.join("");
}
