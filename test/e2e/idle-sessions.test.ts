import { expect, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { CAN_PROBE, startProbedVmcp, type ProbedVmcp } from "../support/probed-vmcp.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, sendRaw } from "../support/raw-client.ts";

/** Opened first: what a gateway makes once for all sessions is theirs. */
const FIRST = 60;
const MORE = 150;
const AT_ONCE = 15;
/** Each session is several requests, on a machine that may have other work. */
const TIMEOUT_MS = 60_000;

/** A third above what ten thousand sessions weigh each: of so few, tables and buffers that double show. */
const MAX_BYTES_PER_SESSION = 8_000;

async function openSessions(gateway: ProbedVmcp, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    // So many and not all at once, as clients come.
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(Array.from({ length: AT_ONCE }, async () => openIdle(gateway)));
  }
}

async function openIdle({ url }: ProbedVmcp): Promise<void> {
  const session = await openRawSession(url);
  await session.request("tools/list");
}

/** Code that is compiled meanwhile belongs to no session. */
async function keptBytes(gateway: ProbedVmcp): Promise<number> {
  // What the first collection frees may hold on to more by a finalizer.
  await gateway.report();
  const { heapBytes, codeBytes } = await gateway.report();
  return heapBytes - codeBytes;
}

test.runIf(CAN_PROBE)(
  "a session that waits is small, however many backends it has connected [I8]",
  async () => {
    const ledgers = await Promise.all(["a", "b", "c"].map(async () => startHttpLedger()));
    await using gateway = await startProbedVmcp({
      config: {
        backends: ledgers.map(({ url }, index) => ({ name: `b${index}`, url })),
        operational: { sessionManagementV2: true },
      },
    });
    await waitFor(async () => (await sendRaw(`${gateway.origin}/readyz`)).status === 200);
    await openSessions(gateway, FIRST);
    const before = await keptBytes(gateway);

    await openSessions(gateway, MORE);

    const bytesPerSession = ((await keptBytes(gateway)) - before) / MORE;
    expect(bytesPerSession).toBeLessThan(MAX_BYTES_PER_SESSION);
    await Promise.all(ledgers.map(async (ledger) => ledger.close()));
  },
  TIMEOUT_MS,
);
