import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { DurableLedger } from "../support/durable-backend.ts";
import { startGateway } from "../support/gateway.ts";
import { isRunning, waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import { callText, childOf, startStdio, toolCall } from "./protocol-backends.ts";

async function errorOf(session: RawSession, message: JsonObject): Promise<JsonObject> {
  const answer = lastMessage(await session.post(message));
  // A call that failed has an error.
  return (answer as { readonly error: JsonObject }).error;
}

function nonceCall(nonce: string): JsonObject {
  return toolCall(`call ${nonce}`, "nonce", { nonce });
}

describe("a stdio backend", () => {
  test("that exits in the middle of a call says how, the next call has a fresh process, and other sessions keep theirs [B10] [F2]", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const alice = await openRawSession(gateway.url);
    const bob = await openRawSession(gateway.url);
    await callText(alice, "count");
    await callText(bob, "count");
    const [dying, kept] = [await childOf(backend, alice), await childOf(backend, bob)];

    const error = await errorOf(alice, toolCall("c", "crash", { code: 3 }));
    const next = lastMessage(await alice.post(toolCall("n", "count")));
    const later = lastMessage(await alice.post(toolCall("l", "count")));

    expect(error).toEqual({
      code: -32_603,
      message: 'Backend "b" exited with code 3',
      data: { kind: "backend_closed", backend: "b", executionState: "unknown", exit: { code: 3 } },
    });
    expect(next).toMatchObject({
      result: { content: [{ text: "1" }], _meta: { backend_reinitialized: true } },
    });
    expect(later).not.toHaveProperty("result._meta");
    expect(backend.backend.ledger.calls.filter(({ tool }) => tool === "crash")).toHaveLength(1);
    expect(dying.isAlive).toBe(false);
    // The state that bob's process holds is the proof that it is still the same.
    expect(await callText(bob, "count")).toBe("2");
    expect((await childOf(backend, bob)).pid).toBe(kept.pid);
  });

  test("that is killed is named with its signal [B10] [F1]", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const child = await childOf(backend, session);

    const hanging = errorOf(session, toolCall("h", "hang"));
    await waitFor(() => backend.backend.ledger.calls.some(({ tool }) => tool === "hang"));
    child.kill("SIGKILL");

    expect(await hanging).toMatchObject({
      message: 'Backend "b" was killed by SIGKILL',
      data: { executionState: "unknown", exit: { signal: "SIGKILL" } },
    });
    expect(await callText(session, "count")).toBe("1");
  });

  test.for([
    ["before it ran a call has run nothing, and nothing of it later", "die-before", []],
    ["after it ran a call has run it once, and never again", "die-after", ["one", "two"]],
  ] as const)("that is killed %s [F1] [F2] [I1]", async ([, fate, executed]) => {
    using durable = new DurableLedger();
    await using gateway = await startGateway({
      backends: [{ name: "b", command: process.execPath, args: durable.stdioArgs(fate) }],
    });
    const session = await openRawSession(gateway.url);

    const error = await errorOf(session, nonceCall("one"));
    await errorOf(session, nonceCall("two"));

    expect(error).toMatchObject({
      data: { kind: "backend_closed", executionState: "unknown", exit: { signal: "SIGKILL" } },
    });
    expect(durable.executions.map(({ nonce }) => nonce)).toEqual(executed);
  });

  test("that hangs is given up at the deadline, told so, and serves the next call [F6]", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), timeouts: { call: "300ms" } }],
    });
    const session = await openRawSession(gateway.url);
    const child = await childOf(backend, session);

    const error = await errorOf(session, toolCall("h", "hang"));
    await waitFor(() => backend.backend.ledger.cancellations.length > 0);

    expect(error).toMatchObject({ data: { kind: "backend_timeout", executionState: "unknown" } });
    expect(backend.backend.ledger.cancellations[0]).toMatchObject({ requestId: "h" });
    expect((await childOf(backend, session)).pid).toBe(child.pid);
  });

  test("that is started again when the client leaves has no process left [R20] [I5]", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({
      backends: [backend.entry()],
      operational: { sessions: { drainDeadline: "50ms" } },
    });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const child = await childOf(backend, session);
    const before = backend.backend.children.length;

    backend.backend.change({ initialize: "hang" });
    child.exit(1);
    await waitFor(() => !child.isAlive);
    const calling = session.post(toolCall("late", "count")).catch(() => {});
    await waitFor(() => backend.backend.children.length > before, { what: "a new process" });
    await session.delete();
    await calling;
    await waitFor(() => backend.backend.aliveChildren.length === 0, { what: "no process is left" });

    const pids = backend.backend.children.slice(before).map(({ pid }) => pid);
    expect(pids.filter((pid) => isRunning(pid))).toEqual([]);
  });
});
