import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { Gateway } from "../../support/gateway.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startStdioLedger, type StdioLedger } from "../../support/ledger-stdio.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { call, callText, clientGreetings, startKnobs, type Answer } from "./knob-gateway.ts";

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

test("backends[].timeouts.keepalive: has a session that the backend forgot made again ahead of the next call", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { keepalive: "100ms" } }],
  });
  const session = await openRawSession(gateway.url);
  const tag = await callText(session, "whoami");

  const before = clientGreetings(ledger);
  ledger.forgetSessions();
  await expect.poll(() => clientGreetings(ledger)).toBe(before + 1);
  const answer = await call(session, "whoami");

  expect(answer.result?.["_meta"]).toEqual({ backend_reinitialized: true });
  expect(answer.result?.content?.[0]?.text).not.toBe(tag);
});

test("backends[].timeouts.idle: ends a backend session without calls, and says so with the next answer", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { idle: "100ms" } }],
  });
  const session = await openRawSession(gateway.url);
  const tag = (await callText(session, "whoami"))?.split(" ")[1] ?? "";

  await expect.poll(() => ledger.ledger.deletes).toContain(tag);
  const answer = await call(session, "count");

  expect(answer.result).toMatchObject({
    content: [{ text: "1" }],
    _meta: { backend_reinitialized: true },
  });
});

test("backends[].trustAnnotations: sends a call once more that may have run, if its tool says that this is harmless", async () => {
  const runs: number[] = [];
  for (const trustAnnotations of [false, true]) {
    // Each gateway is another one.
    // oxlint-disable-next-line no-await-in-loop
    runs.push(await runsOfACrash(trustAnnotations, '{"readOnlyHint":true}'));
  }

  expect(runs).toEqual([1, 2]);
});

test("backends[].trustAnnotations: leaves alone a tool that does not say so", async () => {
  expect(await runsOfACrash(true, '{"readOnlyHint":false,"idempotentHint":false}')).toBe(1);
});

test("backends[].restart.budget: rests after one exit more, and says for how long", async () => {
  const errors = await failuresAfterExits({ budget: 0 }, 1);

  expect(errors).toMatchObject([
    {
      message: expect.stringMatching(/exited with code 1; it ended 1 times within 600 s/),
      data: { kind: "backend_closed", executionState: "not_executed" },
    },
  ]);
  expect(waitNamedBy(errors.at(-1))).toBe("about 600 s");
});

test("backends[].restart.window: forgets exits after this long", async () => {
  const errors = await failuresAfterExits({ budget: 0, window: "70s" }, 1);

  expect(waitNamedBy(errors.at(-1))).toBe("about 70 s");
});

test("backends[].restart.backoffMin: is the wait before the second restart", async () => {
  const errors = await failuresAfterExits({ backoffMin: "40s" }, 2);

  expect(errors.map(waitNamedBy)).toEqual(["none", "about 40 s"]);
});

test("backends[].restart.backoffMax: is the longest wait", async () => {
  const errors = await failuresAfterExits({ backoffMin: "1s", backoffMax: "1s" }, 3);

  expect(errors.at(-1)?.data?.["retryAfterSeconds"]).toBe(1);
});

/** To the next ten seconds, because the machine may be slow. */
function waitNamedBy(error: Answer["error"]): string {
  const seconds = error?.data?.["retryAfterSeconds"];
  return typeof seconds === "number" ? `about ${Math.ceil(seconds / 10) * 10} s` : "none";
}

/** How often a tool with these annotations runs when it is called once and always ends its process. */
async function runsOfACrash(trustAnnotations: boolean, annotations: string): Promise<number> {
  await using ledger = await startStdioLedger({
    hasBuiltInTools: false,
    tools: [`{"name":"crash","inputSchema":{"type":"object"},"annotations":${annotations}}`],
  });
  await using gateway = await startKnobs({
    backends: [{ ...stdioEntry(ledger), trustAnnotations }],
  });
  const session = await openRawSession(gateway.url);
  // Listed as above, the tool is the built-in one.
  ledger.change({ hasBuiltInTools: true });

  const { error } = await call(session, "crash", { code: 3 });

  expect(error?.data).toMatchObject({ kind: "backend_closed", executionState: "unknown" });
  return ledger.ledger.calls.length;
}

function stdioEntry(ledger: StdioLedger): BackendEntry {
  return { name: "b1", command: ledger.command, args: [...ledger.args] };
}

/** What the first call after each of so many exits fails with; undefined where it finds a new process. */
async function failuresAfterExits(
  restart: BackendEntry["restart"] & object,
  exits: number,
): Promise<readonly Answer["error"][]> {
  await using ledger = await startStdioLedger();
  await using gateway = await startKnobs({ backends: [{ ...stdioEntry(ledger), restart }] });
  const session = await openRawSession(gateway.url);
  await gateway.vmcp.probed();
  const errors: Answer["error"][] = [];
  for (let exit = 0; exit < exits; exit += 1) {
    // Each exit follows the restart after the one before.
    // oxlint-disable-next-line no-await-in-loop
    await expect.poll(async () => (await call(session, "count")).error).toBeUndefined();
    // oxlint-disable-next-line no-await-in-loop
    await endProcess(ledger, gateway);
    // oxlint-disable-next-line no-await-in-loop
    errors.push((await call(session, "count")).error);
  }
  return errors;
}

async function endProcess(ledger: StdioLedger, { vmcp }: Gateway): Promise<void> {
  for (const child of ledger.aliveChildren) child.exit(1);
  await waitFor(() =>
    vmcp.sessions
      .liveSessions()
      .every((session) => session.backends().every(({ phase }) => phase === "failed")),
  );
}
