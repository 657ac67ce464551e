import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import {
  memoryCommand,
  sequentialThinkingCommand,
  type StdioCommand,
} from "../support/npm-servers.ts";
import { isRunning, listChildren, waitFor } from "../support/quiescence.ts";
import { openRawSession, postMessage } from "../support/raw-client.ts";

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("after DELETE every backend session is deleted and its child has ended [A10]", async () => {
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
    });
    await gateway.vmcp.probed();
    const client = await connect(gateway.url);
    await client.call("http_count");
    await client.call("stdio_count");
    expect(http.openSessions).toBe(1);
    const [child] = stdio.aliveChildren;

    await client.close();

    await waitFor(() => http.openSessions === 0 && stdio.aliveChildren.length === 0);
    expect(isRunning(child?.pid ?? 0)).toBe(false);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
    await expect.poll(() => http.openStreams).toBe(0);
  });

  test("a client that vanishes leaves nothing behind once its idle time is over [A10]", async () => {
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
      operational: { sessionManagementV2: true, sessions: { idleTtl: "400ms" } },
    });
    await gateway.vmcp.probed();
    const client = await connect(gateway.url);
    await client.call("stdio_count");

    await client.vanish();

    await waitFor(() => http.openSessions === 0 && stdio.aliveChildren.length === 0);
    await expect.poll(() => gateway.vmcp.sessions.sessionCount).toBe(0);
  });
});

describe.each(CLIENTS)("with the client of %s and servers from npm", (_name, connect) => {
  test("after DELETE no process of the session is left [A10]", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vmcp-end-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const commands = [memoryCommand(join(folder, "graph.json")), sequentialThinkingCommand()];
    await using gateway = await startGateway({
      backends: commands.map((command, index) => ({ name: `b${index}`, ...toConfig(command) })),
    });
    await gateway.vmcp.probed();
    const before = listChildren(process.pid).length;
    const client = await connect(gateway.url);
    await client.callText("read_graph");
    expect(listChildren(process.pid)).toHaveLength(before + 2);

    await client.close();

    await waitFor(() => listChildren(process.pid).length === before);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  });

  test("clients that leave as soon as they have come leave nothing behind [A18]", async () => {
    await using gateway = await startGateway({
      backends: [{ name: "thinking", ...toConfig(sequentialThinkingCommand()) }],
      operational: { sessionManagementV2: true, sessions: { startDeadline: "1ms" } },
    });
    await gateway.vmcp.probed();
    const before = listChildren(process.pid).length;

    await Promise.all(
      Array.from({ length: 6 }, async () => {
        const client = await connect(gateway.url);
        await client.close();
      }),
    );

    await waitFor(() => listChildren(process.pid).length === before);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  });
});

function toConfig({ command, args, env = {} }: StdioCommand) {
  return { command, args: [...args], env: { ...env } };
}

test("closing the gateway closes every socket to every backend [A10]", async () => {
  await using http = await startHttpLedger();
  const gateway = await startGateway({ backends: [{ name: "http", url: http.url }] });
  const session = await openRawSession(gateway.url);
  await session.request("tools/call", { name: "count" });
  expect(http.sockets).toBeGreaterThan(0);

  await gateway.vmcp.close();

  await waitFor(() => http.sockets === 0 && http.openSessions === 0);
});

test("a session that was ended answers 404, and a second DELETE does too", async () => {
  await using http = await startHttpLedger();
  await using gateway = await startGateway({ backends: [{ name: "http", url: http.url }] });
  const session = await openRawSession(gateway.url);

  const first = await session.delete();
  const second = await session.delete();
  const call = await session.post({ jsonrpc: "2.0", id: "x", method: "tools/list" });

  expect(first.status).toBe(200);
  expect(second.status).toBe(404);
  expect(call.status).toBe(404);
  expect(JSON.parse(call.text)).toMatchObject({ id: "x", error: { code: -32_001 } });
});

test("a client that leaves while its session starts is not served, and nothing stays open [A18]", async () => {
  await using hanging = await startHttpLedger({ initialize: "hang" });
  await using stdio = await startStdioLedger();
  await using gateway = await startGateway({
    backends: [
      { name: "late", url: hanging.url },
      { name: "stdio", command: stdio.command, args: [...stdio.args] },
    ],
  });
  const leaving = new AbortController();
  const initialize = fetch(gateway.url, {
    method: "POST",
    signal: leaving.signal,
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x" } },
    }),
  });
  await waitFor(() => gateway.vmcp.sessions.sessionCount === 1);

  leaving.abort();

  await expect(initialize).rejects.toThrow("aborted");
  await waitFor(() => gateway.vmcp.sessions.sessionCount === 0);
  hanging.change({ initialize: "answer" });
  await waitFor(() => hanging.openSessions === 0 && stdio.aliveChildren.length === 0);
});

test("sessions that are ended at any moment of their start leave no backend session [A18]", async () => {
  await using http = await startHttpLedger({ initDelayMs: 5 });
  await using stdio = await startStdioLedger();
  await using gateway = await startGateway({
    backends: [
      { name: "http", url: http.url },
      { name: "stdio", command: stdio.command, args: [...stdio.args] },
    ],
    operational: { sessionManagementV2: true, sessions: { startDeadline: "1ms" } },
  });
  await gateway.vmcp.probed();

  // The start deadline lets clients in at once, so that DELETE meets every stage of the connecting.
  await Promise.all(
    Array.from({ length: 40 }, async (_value, index) => {
      const session = await openRawSession(gateway.url);
      for (let turn = 0; turn < index % 8; turn += 1) {
        await postMessage(
          gateway.url,
          { jsonrpc: "2.0", id: turn, method: "ping" },
          session.headers,
        );
      }
      await session.delete();
    }),
  );

  await waitFor(() => http.openSessions === 0 && stdio.aliveChildren.length === 0);
  expect(gateway.vmcp.sessions.sessionCount).toBe(0);
}, 60_000);
