import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { DEADLINES } from "../../../src/lib/deadlines.ts";
import type { Gateway } from "../../support/gateway.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { startHttp, toolCall } from "../protocol-backends.ts";
import { startFaultGateway, TRANSPORTS } from "./fault-backends.ts";

/** Collects garbage now, whatever this process was started with. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

/** What waits for something that has been collected may end only then. */
async function untilNothingWaits(): Promise<void> {
  const isQuiet = (): boolean => {
    collectGarbage();
    return DEADLINES.size === 0;
  };
  await waitFor(isQuiet, { intervalMs: 100, what: "the end of every wait" });
}

/** The only live session, held by nothing here. */
function onlySession(gateway: Gateway): WeakRef<object> {
  const [session] = gateway.vmcp.sessions.liveSessions();
  if (session === undefined) throw new Error("there is no session");
  return new WeakRef(session);
}

test.for(TRANSPORTS)(
  "a session that has ended is kept by nobody, although its streams could have been gone on with, over %s [I7] [I8]",
  async ([, start]) => {
    await using backend = await start();
    await using gateway = await startFaultGateway([backend.entry()]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const call = await session.post(toolCall(1, "nonce", { nonce: "n", ms: 10, steps: 3 }, "p"));
    const ended = onlySession(gateway);
    stream.destroy();

    await session.delete();

    expect(call.events.length).toBeGreaterThan(1);
    await waitFor(
      () => {
        collectGarbage();
        return ended.deref() === undefined;
      },
      { intervalMs: 100, what: "the end of a session" },
    );
  },
);

test("a session that has ended leaves no wait for the age of what its streams kept [I6]", async () => {
  await using backend = await startHttp();
  await using gateway = await startFaultGateway([backend.entry()]);
  await gateway.vmcp.probed();
  await untilNothingWaits();
  const session = await openRawSession(gateway.url);
  await session.post(toolCall(1, "nonce", { nonce: "n", ms: 10, steps: 3 }, "p"));
  const waiting = DEADLINES.size;

  await session.delete();

  expect(waiting).toBeGreaterThan(0);
  await untilNothingWaits();
});
