import { describe, expect, test } from "vitest";
import type { Gateway } from "../../support/gateway.ts";
import type { ChildFlag, LedgerChild, StdioLedger } from "../../support/ledger-stdio.ts";
import { HAS_PROC, isRunning, processTree, waitFor, zombiesOf } from "../../support/quiescence.ts";
import { openRawSession, type RawSession } from "../../support/raw-client.ts";
import { callText, childOf, startStdio, toolCall } from "../protocol-backends.ts";
import { errorOf, startFaultGateway } from "./fault-backends.ts";

/** A gateway with one stdio backend, and a session whose child is known. */
interface Rig extends AsyncDisposable {
  readonly ledger: StdioLedger;
  readonly gateway: Gateway;
  readonly session: RawSession;
  readonly child: LedgerChild;
}

async function startRig(flags: readonly ChildFlag[] = []): Promise<Rig> {
  const backend = await startStdio({}, flags);
  const gateway = await startFaultGateway([backend.entry()]);
  const session = await openRawSession(gateway.url);
  return {
    ledger: backend.backend,
    gateway,
    session,
    child: await childOf(backend, session),
    async [Symbol.asyncDispose]() {
      await gateway.vmcp.close();
      await backend[Symbol.asyncDispose]();
    },
  };
}

describe("a child that ends", () => {
  test("in the middle of a call is named with its exit, and the next call has a new one [F18] [I1]", async () => {
    await using rig = await startRig();

    const failed = await rig.session.post(toolCall("x", "crash", { code: 3 }));
    const next = await callText(rig.session, "count");

    expect(errorOf(failed)).toMatchObject({
      message: 'Backend "b" exited with code 3',
      data: { kind: "backend_closed", backend: "b", executionState: "unknown" },
    });
    expect(next).toBe("1");
    expect(rig.ledger.ledger.calls.map(({ tool }) => tool)).toEqual(["whoami", "crash", "count"]);
  });

  test.runIf(HAS_PROC)(
    "with code 0 and unasked is replaced at the next call, whose answer says so [F18]",
    async () => {
      await using rig = await startRig();

      rig.child.exit(0);
      // Reaped: the gateway has heard of it.
      await waitFor(() => processTree(rig.child.pid).length === 0);
      const answer = await rig.session.post(toolCall("x", "count"));

      expect(JSON.parse(answer.text)).toMatchObject({
        result: { content: [{ text: "1" }], _meta: { backend_reinitialized: true } },
      });
    },
  );

  test.runIf(HAS_PROC)("leaves no zombie, however often it ends [F18] [I5]", async () => {
    await using rig = await startRig();

    for (const code of [0, 1]) {
      // One child after the other; each gets a moment before the next one is started.
      // oxlint-disable-next-line no-await-in-loop
      await waitFor(async () => {
        const failed = await rig.session.post(toolCall(`x${code}`, "crash", { code }));
        return failed.text.includes(`exited with code ${code}`);
      });
    }
    await waitFor(async () => (await callText(rig.session, "count")) === "1");

    expect(rig.ledger.children.length).toBeGreaterThanOrEqual(3);
    await waitFor(() => zombiesOf(process.pid).length === 0);
  });

  test("is killed by a signal, and that is said [F18]", async () => {
    await using rig = await startRig();
    const call = rig.session.post(toolCall("x", "hang"));
    await waitFor(() => rig.ledger.ledger.calls.at(-1)?.tool === "hang");

    rig.child.kill("SIGKILL");

    expect(errorOf(await call)).toMatchObject({
      message: 'Backend "b" was killed by SIGKILL',
      data: { kind: "backend_closed", executionState: "unknown" },
    });
  });
});

describe.runIf(HAS_PROC)("a child that does not go", () => {
  test("when its input ends or SIGTERM comes is killed, and the client hears of a closed session [F18] [I5]", async () => {
    await using rig = await startRig(["ignore-eof", "ignore-term"]);

    const deleted = await rig.session.delete();

    expect(deleted.status).toBe(200);
    expect([rig.child.hasSeenEof, rig.child.hasSeenSigterm]).toEqual([true, true]);
    await waitFor(() => !isRunning(rig.child.pid));
    await waitFor(() => zombiesOf(process.pid).length === 0);
  });

  test("alone, but leaves one behind that holds its pipes, ends its calls all the same [F18] [I5]", async () => {
    await using rig = await startRig(["grandchild"]);
    const grandchild = rig.child.grandchildPid ?? 0;
    const call = rig.session.post(toolCall("x", "hang"));
    await waitFor(() => rig.ledger.ledger.calls.at(-1)?.tool === "hang");

    rig.child.exit(5);
    const failed = await call;

    expect(errorOf(failed)).toMatchObject({ message: 'Backend "b" exited with code 5' });
    await waitFor(() => !isRunning(grandchild));
  });
});

test("a child that floods its standard error is heard, and nothing of that reaches the client [F18] [I14]", async () => {
  await using rig = await startRig();
  const line = `CANARY-stderr ${"e".repeat(1_000)}\n`;

  for (let n = 0; n < 100; n += 1) rig.child.writeStderr(line.repeat(100));
  const served = await callText(rig.session, "echo", { text: "still here" });
  const failed = await rig.session.post(toolCall("x", "crash", { code: 1 }));

  expect(served).toBe("still here");
  expect(errorOf(failed)).toMatchObject({ message: 'Backend "b" exited with code 1' });
  expect(failed.text).not.toContain("CANARY");
});
