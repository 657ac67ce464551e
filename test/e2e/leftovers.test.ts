import { describe, expect, test } from "vitest";
import { checkInvariants, holdingsOf } from "../support/invariants.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger, type StdioLedger } from "../support/ledger-stdio.ts";
import { CAN_PROBE, startProbedVmcp, type ProbedVmcp } from "../support/probed-vmcp.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, sendRaw, type RawAnswer, type RawSession } from "../support/raw-client.ts";

interface Rig extends AsyncDisposable {
  readonly gateway: ProbedVmcp;
  readonly http: HttpLedger;
  readonly stdio: StdioLedger;
  /** Sessions that were asked for something, and their open streams. */
  readonly openUsed: (count: number) => Promise<readonly UsedSession[]>;
}

interface UsedSession {
  readonly session: RawSession;
  readonly stream: RawAnswer;
}

/** What runs for the first time takes memory that it keeps; what many sessions keep is a test of its own. */
const COLD = 1;

/** How long backends keep an idle connection; sockets are counted when that is over. */
const KEEP_ALIVE_MS = 100;

async function startRig(sessions: object, failureHandling: object = {}): Promise<Rig> {
  const http = await startHttpLedger({}, KEEP_ALIVE_MS);
  const stdio = await startStdioLedger();
  const gateway = await startProbedVmcp({
    config: {
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
      operational: {
        sessionManagementV2: true,
        sessions: { drainDeadline: "1s", ...sessions },
        failureHandling,
      },
    },
  });
  await waitFor(async () => (await sendRaw(`${gateway.origin}/readyz`)).status === 200);
  await waitFor(() => stdio.aliveChildren.length === 0);
  return {
    gateway,
    http,
    stdio,
    openUsed: async (count) => Promise.all(Array.from({ length: count }, async () => use(gateway))),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await http.close();
      await stdio.close();
    },
  };
}

async function use(gateway: ProbedVmcp): Promise<UsedSession> {
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await session.request("tools/call", { name: "http_count" });
  await session.request("tools/call", { name: "stdio_count" });
  return { session, stream };
}

async function sessionCount({ origin }: ProbedVmcp): Promise<number> {
  return JSON.parse((await sendRaw(`${origin}/status`)).text).sessions;
}

async function leave({ session, stream }: UsedSession): Promise<void> {
  await session.delete();
  await stream.ended;
}

/** By which way sessions end, what it takes, and how a client brings it about. */
const ENDINGS: readonly (readonly [string, object, (rig: Rig) => Promise<void>])[] = [
  [
    "their clients end them",
    {},
    async ({ openUsed }) => {
      const used = await openUsed(2);
      await Promise.all(used.map(leave));
    },
  ],
  [
    "their clients vanish, once the idle time is over [B11]",
    { idleTtl: "600ms" },
    async ({ openUsed }) => {
      for (const { stream } of await openUsed(2)) stream.destroy();
    },
  ],
  [
    "their clients vanish after they have said hello [B11]",
    { unusedTtl: "300ms" },
    async ({ gateway }) => {
      await Promise.all(Array.from({ length: 2 }, async () => openRawSession(gateway.url)));
    },
  ],
  [
    "their lifetime is over, open streams or not",
    { absoluteTtl: "1500ms" },
    async ({ openUsed }) => {
      const used = await openUsed(2);
      await Promise.all(used.map(async ({ stream }) => stream.ended));
    },
  ],
  [
    "others need their places",
    { maxSessions: 2, evictIdleAfter: "50ms", idleTtl: "2s" },
    async ({ gateway }) => {
      for (let count = 0; count < 6; count += 1) {
        // Each has to wait until one of those before it counts as idle.
        // oxlint-disable-next-line no-await-in-loop
        await waitFor(async () => openRawSession(gateway.url).catch(() => undefined));
      }
    },
  ],
];

describe.runIf(CAN_PROBE)("sessions leave no socket, child, timer or memory behind where", () => {
  test.for(ENDINGS)("%s [I4] [I5] [I6] [I7]", async ([, sessions, play]) => {
    await using rig = await startRig(sessions);
    const { gateway, http, stdio } = rig;
    const before = await holdingsOf(gateway);

    await play(rig);

    await waitFor(async () => (await sessionCount(gateway)) === 0);
    const found = await checkInvariants(gateway, before, {
      backends: [http, stdio],
      heapGrowth: COLD,
    });
    expect(found).toEqual([]);
    expect(stdio.aliveChildren).toEqual([]);
  });

  test("they cannot be made [I4] [I5] [I6] [I7]", async () => {
    await using rig = await startRig({}, { partialFailureMode: "fail" });
    const { gateway, http, stdio } = rig;
    const refuse = async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 2 }, async () => openRawSession(gateway.url)),
      );
      expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => "rejected"));
    };
    const before = await holdingsOf(gateway);
    http.change({ initialize: "fail" });

    await refuse();

    const found = await checkInvariants(gateway, before, {
      backends: [http, stdio],
      heapGrowth: COLD,
    });
    expect(found).toEqual([]);
    expect(stdio.aliveChildren).toEqual([]);
  });

  test("two hundred came and went [I7] [I8]", async () => {
    await using http = await startHttpLedger({}, KEEP_ALIVE_MS);
    await using gateway = await startProbedVmcp({
      config: {
        backends: ["b1", "b2", "b3"].map((name) => ({ name, url: http.url })),
        operational: { sessionManagementV2: true },
      },
    });
    const churn = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 10) {
        const open = async () => {
          const session = await openRawSession(gateway.url);
          const stream = await session.openStream();
          await session.request("tools/list");
          await session.request("tools/call", { name: "b1_count" });
          await session.request("tools/call", { name: "b3_progress" });
          await leave({ session, stream });
        };
        // One batch at a time, as many at once as a small service sees.
        // oxlint-disable-next-line no-await-in-loop
        await Promise.all(Array.from({ length: 10 }, open));
      }
    };
    await churn(60);
    await expect.poll(() => http.sockets).toBeLessThanOrEqual(3);
    const before = await holdingsOf(gateway);

    await churn(200);

    expect(await checkInvariants(gateway, before, { backends: [http] })).toEqual([]);
  }, 60_000);
});
