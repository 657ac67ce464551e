import { describe, expect, test } from "vitest";
import { DurableBackend, DurableLedger, type CallFate } from "../../support/durable-backend.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { callText, toolCall } from "../protocol-backends.ts";
import { errorOf, errorOfCall, startFaultGateway } from "./fault-backends.ts";

const FATES: readonly (readonly [CallFate, number])[] = [
  ["die-before", 0],
  ["die-after", 1],
];

describe("a backend that is killed by a call", () => {
  test.for(FATES)(
    "over HTTP (%s) has executed it %i times for good, and its successor is used [F1] [F2] [F3] [I1]",
    async ([fate, executed]) => {
      await using backend = new DurableBackend();
      await backend.start(fate);
      await using bystander = await startHttpLedger();
      await using gateway = await startFaultGateway([
        { name: "b", url: backend.url },
        { name: "other", url: bystander.url },
      ]);
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);

      const error = await errorOfCall(session, "b_nonce", { nonce: "killing" });
      const whileDead = await callText(session, "count");
      const afterDeath = backend.executions.map(({ nonce }) => nonce);
      await backend.start();
      await waitFor(async () => {
        const nonce = "next";
        return (await callText(session, "b_nonce", { nonce })) === nonce;
      });

      expect(error).toMatchObject({
        data: { kind: "backend_closed", backend: "b", executionState: "unknown" },
      });
      expect(whileDead).toBe("1");
      expect(afterDeath).toEqual(Array.from({ length: executed }, () => "killing"));
      expect(backend.executions.map(({ nonce }) => nonce)).toEqual([...afterDeath, "next"]);
    },
  );

  test.for(FATES)(
    "over stdio (%s) has executed it %i times for good, and is not asked again [F1] [F2] [I1]",
    async ([fate, executed]) => {
      using ledger = new DurableLedger();
      await using gateway = await startFaultGateway([
        { name: "b", command: process.execPath, args: ledger.stdioArgs(fate) },
      ]);
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);

      const error = await errorOfCall(session, "nonce", { nonce: "killing" });
      await session.delete();

      expect(error).toMatchObject({
        message: 'Backend "b" was killed by SIGKILL',
        data: { kind: "backend_closed", executionState: "unknown" },
      });
      expect(ledger.executions).toHaveLength(executed);
    },
  );

  test("in the middle of many calls has executed each of them at most once [F2] [I1] [I2]", async () => {
    await using backend = new DurableBackend();
    await backend.start("hang");
    await using gateway = await startFaultGateway([{ name: "b", url: backend.url }]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const calls = Array.from({ length: 8 }, async (_value, id) =>
      session.post(toolCall(id, "nonce", { nonce: `n${id}` })),
    );
    await waitFor(() => backend.executions.length === calls.length);

    await backend.kill();
    const errors = (await Promise.all(calls)).map((answer) => errorOf(answer));
    await backend.start();
    await waitFor(async () => (await callText(session, "nonce", { nonce: "next" })) === "next");

    for (const error of errors) {
      expect(error).toMatchObject({ data: { kind: "backend_closed", executionState: "unknown" } });
    }
    const nonces = backend.executions.map(({ nonce }) => nonce);
    expect(new Set(nonces).size).toBe(nonces.length);
    expect(new Set(backend.executions.map(({ pid }) => pid)).size).toBe(2);
  });
});
