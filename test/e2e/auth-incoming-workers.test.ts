import { afterAll, beforeAll, expect, test } from "vitest";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, postMessage, type RawSession } from "../support/raw-client.ts";
import { startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";
import { closingAgent, statusOver } from "./auth-incoming-target.ts";

const LIST = { jsonrpc: "2.0", id: 7, method: "tools/list" };
const KEYS = { alice: "alice-0123456789abcdef", bob: "bob-0123456789abcdef" };

let backend: HttpLedger;
let vmcp: VmcpProcess;

/** Three processes, on a machine that may do other work. */
const START_TIMEOUT_MS = 60_000;

beforeAll(async () => {
  backend = await startHttpLedger();
  vmcp = await startVmcp({
    config: {
      backends: [{ name: "b", url: backend.url }],
      operational: {
        sessionManagementV2: true,
        logLevel: "debug",
        sessions: { drainDeadline: "2s" },
      },
      limits: { failedRequestsPerMinute: 20 },
      incomingAuth: {
        type: "apiKey",
        apiKey: {
          keys: [
            { id: "k1", secret: "${env:ALICE_KEY}", subject: "alice" },
            { id: "k2", secret: "${env:BOB_KEY}", subject: "bob" },
          ],
        },
      },
    },
    args: ["--workers", "2"],
    env: { ALICE_KEY: KEYS.alice, BOB_KEY: KEYS.bob },
    startTimeoutMs: START_TIMEOUT_MS,
  });
}, START_TIMEOUT_MS);

afterAll(async () => {
  await vmcp[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

function proofOf(name: keyof typeof KEYS): Readonly<Record<string, string>> {
  return { "x-api-key": KEYS[name] };
}

/** The worker that made a session, from 0: its id says so. */
function ownerOf({ id }: RawSession): number {
  return Number.parseInt(id.slice(0, 2), 16);
}

/** A session of Alice's at each of the two workers. */
async function openPair(): Promise<readonly RawSession[]> {
  const sessions = new Map<number, RawSession>();
  await waitFor(async () => {
    const session = await openRawSession(vmcp.url, { headers: proofOf("alice") });
    if (sessions.has(ownerOf(session))) await session.delete();
    else sessions.set(ownerOf(session), session);
    return sessions.size === 2;
  });
  return [...sessions.values()];
}

test("a request is judged by its proof, whichever worker it comes to and whichever owns its session [R2]", async () => {
  const pair = await openPair();
  using agent = closingAgent();

  const statuses: (readonly number[])[] = [];
  for (const { headers } of [...pair, ...pair]) {
    const { "x-api-key": _own, ...nobody } = headers;
    const proofs = [headers, { ...headers, ...proofOf("bob") }, nobody];
    const ofSession: number[] = [];
    for (const proof of proofs) {
      // The order is what this is about: one connection, one worker at its end, two owners.
      // oxlint-disable-next-line no-await-in-loop
      ofSession.push(await statusOver(agent, vmcp.url, LIST, proof));
    }
    statuses.push(ofSession);
  }

  expect(statuses).toEqual(Array.from({ length: 4 }, () => [200, 404, 401]));
});

test("no key is printed, whatever is refused", async () => {
  await postMessage(vmcp.url, LIST, { "x-api-key": "CANARY-of-a-stranger" });

  for (const secret of [...Object.values(KEYS), "CANARY"]) {
    expect(vmcp.stdout + vmcp.stderr).not.toContain(secret);
  }
});
