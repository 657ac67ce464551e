import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { DurableBackend, DurableLedger, type CallFate } from "./durable-backend.ts";
import { waitFor } from "./quiescence.ts";
import { openRawSession } from "./raw-client.ts";

async function start(fate: CallFate): Promise<DurableBackend> {
  const backend = new DurableBackend();
  await backend.start(fate);
  return backend;
}

const CALL = { name: "nonce", arguments: { nonce: "n1" } };

test.for<[CallFate, number]>([
  ["die-before", 0],
  ["die-after", 1],
])("a process whose fate is to %s leaves %i executions behind", async ([fate, executed]) => {
  await using backend = await start(fate);
  const session = await openRawSession(backend.url);

  await expect(session.request("tools/call", CALL)).rejects.toThrow(/hang up|ECONNRESET/);

  await waitFor(() => !backend.isRunning);
  expect(backend.executions).toHaveLength(executed);
});

test("what was executed outlives the process, whose successor knows no session of it", async () => {
  await using backend = await start("answer");
  const session = await openRawSession(backend.url);
  await session.request("tools/call", CALL);
  const { port } = backend;

  await backend.kill();
  await backend.start();

  expect(backend.port).toBe(port);
  const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "ping" });
  expect(answer.status).toBe(404);
  expect(backend.executions).toMatchObject([{ nonce: "n1" }]);
  expect((await session.delete()).status).toBe(404);
});

test("over stdio the ledger names the process that executed", async () => {
  using ledger = new DurableLedger();
  const child = spawn(process.execPath, ledger.stdioArgs(), { stdio: ["pipe", "pipe", "inherit"] });
  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: CALL };

  child.stdin.write(`${JSON.stringify(message)}\n`);
  await once(child.stdout, "data");
  child.stdin.end();
  await once(child, "exit");

  expect(ledger.executions).toMatchObject([{ nonce: "n1", pid: child.pid }]);
});
