import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { HAS_PROC, isRunning, waitFor } from "../support/quiescence.ts";
import {
  lastMessage,
  openRawSession,
  sendRaw,
  type RawAnswer,
  type RawSession,
} from "../support/raw-client.ts";
import { startVmcp } from "../support/vmcp-process.ts";

function call(session: RawSession, id: string, name: string, args: object = {}) {
  const params = { name, arguments: { nonce: id, ...args } };
  return session.post(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }));
}

/** A connection that has said nothing yet. */
async function openSilent(url: string): Promise<{ socket: Socket; received: () => string }> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  await once(socket, "connect");
  return { socket, received: () => received };
}

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: "late",
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "late", version: "1" },
  },
});

const INITIALIZE_REQUEST =
  "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
  "Accept: application/json, text/event-stream\r\n" +
  `Content-Length: ${INITIALIZE.length}\r\n\r\n${INITIALIZE}`;

/** The milliseconds in the stream's last block, where that says when to come back. */
function comeBackMs(stream: RawAnswer): number {
  return Number(/(?:^|\n\n)retry: (\d+)\n\n$/.exec(stream.text)?.[1]);
}

test("SIGTERM: balancers hear first, then calls finish, and the rest hears of the end [F30] [R19]", async () => {
  await using http = await startHttpLedger();
  await using stdio = await startStdioLedger();
  await using vmcp = await startVmcp({
    config: {
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
      operational: {
        sessionManagementV2: true,
        sessions: { shutdownGrace: "2s", drainDeadline: "3s" },
      },
    },
  });
  const [first, second] = [await openRawSession(vmcp.url), await openRawSession(vmcp.url)];
  const finishing = [first, second].flatMap((session, index) =>
    [200, 1_000, 2_500].flatMap((ms) =>
      ["http", "stdio"].map(async (backend) =>
        call(session, `${backend}-${index}-${ms}`, `${backend}_slow`, { ms }),
      ),
    ),
  );
  const cut = ["http", "stdio"].map(async (backend) => call(first, backend, `${backend}_hang`));
  await waitFor(() => http.ledger.calls.length + stdio.ledger.calls.length === 14);
  const idle = await openRawSession(vmcp.url);
  const stream = await idle.openStream();

  process.kill(vmcp.pid, "SIGTERM");

  await expect.poll(async () => (await sendRaw(`${vmcp.origin}/readyz`)).status).toBe(503);
  const during = await openRawSession(vmcp.url);
  const served = await call(during, "during", "http_count");
  const silent = await openSilent(vmcp.url);
  const isRefused = async () =>
    sendRaw(`${vmcp.origin}/health`).then(
      () => false,
      () => true,
    );
  await waitFor(isRefused, { what: "the listener is closed" });
  const greetings = http.initializeCount + stdio.initializeCount;
  silent.socket.write(INITIALIZE_REQUEST);
  await once(silent.socket, "close");
  await stream.ended;
  const finished = await Promise.all(finishing);
  const refused = await Promise.all(cut);
  const { code, stdout } = await vmcp.exited;

  expect(lastMessage(served)).toMatchObject({ result: {} });
  expect(silent.received()).toMatch(/^HTTP\/1.1 503 [^]*\r\nretry-after: \d/i);
  expect(http.initializeCount + stdio.initializeCount).toBe(greetings);
  expect(comeBackMs(stream)).toBeGreaterThanOrEqual(5_000);
  for (const answer of finished) expect(lastMessage(answer)).toMatchObject({ result: {} });
  for (const answer of refused) {
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("5");
    expect(answer.headers.connection).toBe("close");
    expect(lastMessage(answer)).toMatchObject({
      error: { code: 503, data: { kind: "shutting_down", executionState: "unknown" } },
    });
  }
  expect(code).toBe(0);
  expect(stdout).toContain("draining");
  await waitFor(() => http.openSessions + http.probeSessions + http.sockets === 0);
  expect(stdio.aliveChildren).toEqual([]);
  expect(new Set(http.ledger.calls.map(({ nonce }) => nonce)).size).toBe(http.ledger.calls.length);
}, 40_000);

test("SIGINT does not wait for balancers", async () => {
  await using http = await startHttpLedger();
  await using vmcp = await startVmcp({
    config: {
      backends: [{ name: "b1", url: http.url }],
      operational: { sessions: { shutdownGrace: "10m" } },
    },
  });
  await openRawSession(vmcp.url);

  const { code } = await vmcp.stop("SIGINT");

  expect(code).toBe(0);
});

test.runIf(HAS_PROC)(
  "a backend that heeds no end keeps the gateway no longer than the drain deadline and a moment [F30]",
  async () => {
    await using stubborn = await startStdioLedger({}, ["ignore-eof", "ignore-term"]);
    await using vmcp = await startVmcp({
      config: {
        backends: [{ name: "b1", command: stubborn.command, args: [...stubborn.args] }],
        operational: { sessionManagementV2: true, sessions: { drainDeadline: "300ms" } },
      },
    });
    const session = await openRawSession(vmcp.url);
    const hanging = call(session, "hanging", "b1_hang");
    await waitFor(() => stubborn.ledger.calls.length === 1);
    const pids = stubborn.aliveChildren.map(({ pid }) => pid);

    const { code, stderr } = await vmcp.stop("SIGINT");

    expect(code).toBe(0);
    expect(stderr).toContain("not everything ended in time");
    expect((await hanging).status).toBe(503);
    await waitFor(() => pids.every((pid) => !isRunning(pid)));
  },
);

test.runIf(HAS_PROC)(
  "children of a gateway that was killed end with their input [F29]",
  async () => {
    await using stdio = await startStdioLedger();
    await using vmcp = await startVmcp({
      config: {
        backends: [{ name: "b1", command: stdio.command, args: [...stdio.args] }],
        operational: { sessionManagementV2: true },
      },
    });
    const session = await openRawSession(vmcp.url);
    const hanging = call(session, "hanging", "b1_hang").catch(() => "cut");
    await waitFor(() => stdio.ledger.calls.length === 1);
    const pids = stdio.aliveChildren.map(({ pid }) => pid);

    await vmcp.stop("SIGKILL");

    expect(await hanging).toBe("cut");
    await waitFor(() => pids.every((pid) => !isRunning(pid)), { timeoutMs: 5_000 });
    expect(stdio.children.map(({ ending }) => ending)).toEqual(stdio.children.map(() => "eof"));
  },
);

test.runIf(HAS_PROC)(
  "one that ignores the end of its input outlives a gateway that was killed, for nobody is left to end it [F29]",
  async () => {
    await using stdio = await startStdioLedger({}, ["ignore-eof"]);
    await using vmcp = await startVmcp({
      config: {
        backends: [{ name: "b1", command: stdio.command, args: [...stdio.args] }],
        operational: { sessionManagementV2: true },
      },
    });
    await openRawSession(vmcp.url);
    const child = await waitFor(() => stdio.aliveChildren.at(-1));

    await vmcp.stop("SIGKILL");
    await waitFor(() => child.hasSeenEof);

    expect(isRunning(child.pid)).toBe(true);
    child.kill("SIGKILL");
    await waitFor(() => !isRunning(child.pid));
  },
);
