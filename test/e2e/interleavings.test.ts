import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { noncesOf } from "../support/ledger.ts";
import { startStdioLedger, type StdioLedger } from "../support/ledger-stdio.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, postMessage, sendRaw } from "../support/raw-client.ts";

/** What one client does with its session, in this order. */
interface ClientPlan {
  readonly calls: readonly ("http" | "stdio")[];
  /** Whether it waits for the answers before it ends its session. */
  readonly isPatient: boolean;
  readonly ending: "delete" | "delete twice" | "vanish";
  /** Event-loop turns before it begins. */
  readonly delayTurns: number;
}

const CLIENT_PLAN: fc.Arbitrary<ClientPlan> = fc.record({
  calls: fc.array(fc.constantFrom("http", "stdio"), { maxLength: 3 }),
  isPatient: fc.boolean(),
  ending: fc.constantFrom("delete", "delete twice", "vanish"),
  delayTurns: fc.nat(12),
});

interface Rig {
  readonly gateway: Gateway;
  readonly http: HttpLedger;
  readonly stdio: StdioLedger;
}

let lastNonce = 0;

/** Resolves with what went wrong: an answer that belongs to another call, or another session. */
async function play({ gateway }: Rig, plan: ClientPlan): Promise<readonly string[]> {
  for (let turn = 0; turn < plan.delayTurns; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  const opened = await openRawSession(gateway.url).catch(() => undefined);
  // The gateway may be closing by now.
  if (opened === undefined) return [];
  const calls = plan.calls.map(async (backend, index) => {
    lastNonce += 1;
    const nonce = `n${lastNonce}`;
    const params = { name: `${backend}_nonce`, arguments: { nonce } };
    const message = { jsonrpc: "2.0", id: index, method: "tools/call", params };
    const answer = await postMessage(gateway.url, message, opened.headers).catch(() => undefined);
    return answer === undefined || isAnswerTo(lastMessage(answer), index, nonce)
      ? []
      : [`${nonce} got ${answer.status} ${answer.text}`];
  });
  if (plan.isPatient) await Promise.all(calls);
  if (plan.ending !== "vanish") {
    const end = async () =>
      sendRaw(gateway.url, { method: "DELETE", headers: opened.headers }).catch(() => undefined);
    await Promise.all(plan.ending === "delete" ? [end()] : [end(), end()]);
  }
  return (await Promise.all(calls)).flat();
}

/** The call's own nonce, or a clear refusal under its own id because the session was ending. */
function isAnswerTo(answer: unknown, id: number, nonce: string): boolean {
  // Whatever came is JSON-RPC or nothing.
  const message = answer as { id?: number; result?: JsonObject; error?: JsonObject } | undefined;
  if (message?.id !== id) return false;
  return message.error !== undefined || JSON.stringify(message.result).includes(`"${nonce}"`);
}

function activeResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

test("whatever clients do at whatever moment, the gateway leaves no session, socket, child or timer [A18]", async () => {
  const before = activeResources();

  await fc.assert(
    fc.asyncProperty(
      fc.array(CLIENT_PLAN, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      async (plans, isClosedMidway) => {
        await using http = await startHttpLedger({ initDelayMs: 2 });
        await using stdio = await startStdioLedger();
        const gateway = await startGateway({
          backends: [
            { name: "http", url: http.url },
            { name: "stdio", command: stdio.command, args: [...stdio.args] },
          ],
          aggregation: { conflictResolution: "prefix" },
          operational: {
            sessionManagementV2: true,
            sessions: { startDeadline: "20ms", idleTtl: "150ms", drainDeadline: "500ms" },
          },
        });
        const rig = { gateway, http, stdio };

        const playing = Promise.all(plans.map(async (plan) => play(rig, plan)));
        if (isClosedMidway) await gateway.vmcp.close();
        const faults = (await playing).flat();
        await waitFor(() => gateway.vmcp.sessions.sessionCount === 0);
        await gateway.vmcp.close();

        expect(faults).toEqual([]);
        await waitFor(
          () => http.openSessions === 0 && http.sockets === 0 && stdio.aliveChildren.length === 0,
        );
        for (const { ledger } of [http, stdio]) {
          expect(new Set(noncesOf(ledger)).size).toBe(noncesOf(ledger).length);
        }
      },
    ),
    { numRuns: 80, endOnFailure: true },
  );

  await expect
    .poll(
      () =>
        [...activeResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0) + SLACK),
      { timeout: 10_000 },
    )
    .toEqual([]);
}, 120_000);

/** The clients of this very process keep an idle connection or timer for a while. */
const SLACK = 2;
