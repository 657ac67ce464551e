import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { expect, test } from "vitest";
import { textOf } from "./clients.ts";
import { startStdioLedger, type StdioLedger } from "./ledger-stdio.ts";
import { HAS_PROC, isRunning, waitFor } from "./quiescence.ts";

test("each process is a session whose calls the ledger records", async () => {
  await using ledger = await startStdioLedger({ name: "piped" });
  const first = await connectStdio(ledger);
  const second = await connectStdio(ledger);

  const counts = [await count(first), await count(first), await count(second)];

  expect(counts).toEqual(["1", "2", "1"]);
  expect(ledger.initializeCount).toBe(2);
  expect(ledger.children.map((child) => child.pid > 0)).toEqual([true, true]);
  await Promise.all([first.close(), second.close()]);
  await waitFor(() => ledger.aliveChildren.length === 0);
  expect(ledger.children.map((child) => child.ending)).toEqual(["eof", "eof"]);
  expect(ledger.openSessions).toBe(0);
});

test("the exit code of a crash is the one asked for, and the ledger survives it", async () => {
  await using ledger = await startStdioLedger();
  const child = startChild(ledger);
  const exited = once(child, "exit");

  child.stdin.write(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crash","arguments":{"code":3}}}\n',
  );

  expect(await exited).toEqual([3, null]);
  expect(ledger.ledger.calls).toMatchObject([{ tool: "crash" }]);
});

test("writes any bytes to stdout and stderr", async () => {
  await using ledger = await startStdioLedger();
  const child = startChild(ledger);
  const outputs = Promise.all([readText(child.stdout), readText(child.stderr)]);
  const [first] = await waitFor(() => ledger.children.length === 1 && ledger.children);

  first?.writeRaw("not json\n{");
  first?.writeStderr("a complaint");
  first?.exit(0);

  expect(await outputs).toEqual(["not json\n{", "a complaint"]);
});

test("a child told to ignore end of input and SIGTERM needs SIGKILL", async () => {
  await using ledger = await startStdioLedger({}, ["ignore-eof", "ignore-term"]);
  const child = startChild(ledger);
  const exited = once(child, "exit");
  const [first] = await waitFor(() => ledger.children.length === 1 && ledger.children);
  child.stdin.end();
  await waitFor(() => first?.hasSeenEof === true);
  child.kill("SIGTERM");
  await waitFor(() => first?.hasSeenSigterm === true);
  expect(first?.isAlive).toBe(true);

  child.kill("SIGKILL");

  expect(await exited).toEqual([null, "SIGKILL"]);
  await waitFor(() => first?.ending === "silent");
});

test("a notification reaches every process, requests come back answered", async () => {
  await using ledger = await startStdioLedger();
  const child = startChild(ledger);
  await waitFor(() => ledger.openSessions === 1);
  const [session] = ledger.sessions;
  const lines: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => lines.push(chunk));

  const reached = ledger.notify("notifications/tools/list_changed");
  const answer = session && ledger.request(session, "roots/list", {});
  await waitFor(() => lines.join("").includes('"roots/list"'));
  child.stdin.write('{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}\n');

  expect(reached).toBe(1);
  expect(await answer).toBe('{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}');
  expect(lines.join("")).toContain("list_changed");
});

test.runIf(HAS_PROC)(
  "closing ends children that ignore everything, and their grandchild is known",
  async () => {
    const ledger = await startStdioLedger({}, ["ignore-eof", "ignore-term", "grandchild"]);
    startChild(ledger);
    const [first] = await waitFor(() => ledger.children.length === 1 && ledger.children);
    const grandchild = first?.grandchildPid ?? 0;
    expect(isRunning(grandchild)).toBe(true);

    await ledger.close();

    await waitFor(() => !isRunning(first?.pid ?? 0));
    process.kill(grandchild, "SIGKILL");
  },
);

function startChild(ledger: StdioLedger): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(ledger.command, [...ledger.args], { stdio: ["pipe", "pipe", "pipe"] });
}

async function connectStdio(ledger: StdioLedger): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(
    new StdioClientTransport({ command: ledger.command, args: [...ledger.args] }),
  );
  return client;
}

async function count(client: Client): Promise<string> {
  return textOf(await client.callTool({ name: "count" }));
}
