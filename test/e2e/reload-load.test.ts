import { array, assert, asyncProperty, integer, record } from "fast-check";
import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { createVmcp } from "../../src/app/create-vmcp.ts";
import type { Vmcp } from "../../src/app/vmcp.ts";
import { startGateway } from "../support/gateway.ts";
import { noncesOf } from "../support/ledger.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";

test("under steady calls of many sessions no reload makes a call fail but one to a tool that is gone [F32]", async () => {
  await using kept = await startHttpLedger();
  await using changing = await startHttpLedger();
  const backends = [at("kept", kept)];
  const variants: readonly VmcpConfigInput[] = [
    { backends: [...backends, at("other", changing)] },
    { backends: [...backends, { ...at("other", changing), headers: { "x-team": "blue" } }] },
    { backends, limits: { callsPerSession: 12 } },
    { backends: [...backends, at("renamed", changing)] },
    { backends, aggregation: { tools: [{ workload: "kept", filter: ["nonce", "count"] }] } },
  ];
  await using gateway = await startGateway(prefixed(variants[0]));
  const sessions = await Promise.all(range(6).map(async () => openRawSession(gateway.url)));
  await Promise.all(sessions.map(async (session) => call(session, "kept_count")));
  const steady = sessions.map((session, index) => new SteadyCaller(session, `s${index}`));

  for (let round = 0; round < 15; round += 1) {
    const done = Math.max(...steady.map(({ answered }) => answered));
    await gateway.vmcp.reload(prefixed(variants[round % variants.length]));
    // Reloads and calls must overlap: the next one comes once calls have gone through this generation.
    await waitFor(() => steady.every(({ answered }) => answered > done));
  }
  await Promise.all(steady.map(async (caller) => caller.stop()));

  expect(steady.flatMap(({ failures }) => failures)).toEqual([]);
  expect(steady.flatMap(({ others }) => others).filter(isNeitherAnswerNorUnknown)).toEqual([]);
  const nonces = noncesOf(kept.ledger);
  expect(new Set(nonces).size).toBe(nonces.length);
  const counts = await Promise.all(sessions.map(async (session) => call(session, "kept_count")));
  expect(counts.map((answer) => JSON.stringify(answer).includes('"text":"2"'))).toEqual(
    sessions.map(() => true),
  );
});

test("a session that is made while the configuration changes has all of one generation [R15]", async () => {
  await using one = await startHttpLedger({ initDelayMs: 2 });
  await using two = await startHttpLedger({ initDelayMs: 2 });
  const generations = [
    { backends: [at("a", one), at("b", two)], ...only("count", ["a", "b"]) },
    { backends: [at("c", one), at("d", two)], ...only("echo", ["c", "d"]) },
  ];
  const consistent = new Set(["a_count b_count", "c_echo d_echo"]);
  const steps = array(
    record({ generation: integer({ min: 0, max: 1 }), turns: integer({ min: 0, max: 12 }) }),
    {
      minLength: 1,
      maxLength: 5,
    },
  );

  await assert(
    asyncProperty(steps, async (reloads) => {
      await using vmcp = await createVmcp(generations[0] ?? {});
      const opening = range(4).map(async (index) => {
        await turns(index * 2);
        return vmcp.openSession();
      });
      for (const { generation, turns: wait } of reloads) {
        await turns(wait);
        await vmcp.reload(generations[generation] ?? {});
      }
      const sessions = await Promise.all(opening);
      await waitFor(() =>
        sessions.every((session) => session.backends().every(({ phase }) => phase === "ready")),
      );

      const seen = sessions.map(({ tools }) =>
        tools
          .map(({ name }) => name)
          .toSorted()
          .join(" "),
      );
      const expected = namesNow(vmcp);
      expect(consistent).toContain(expected);
      expect(new Set(seen)).toEqual(new Set([expected]));
    }),
    { numRuns: 25 },
  );

  await waitFor(() => one.openSessions === 0 && two.openSessions === 0);
  await waitFor(() => one.sockets === 0 && two.sockets === 0);
});

/** Calls a tool that is always there again and again, and one that comes and goes. */
class SteadyCaller {
  readonly failures: unknown[] = [];
  readonly others: unknown[] = [];
  answered = 0;
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(session: RawSession, name: string) {
    this.#running = this.#run(session, name);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(session: RawSession, name: string): Promise<void> {
    while (!this.#isStopped) {
      const nonce = `${name}-${this.answered}`;
      const [answer, other] = await Promise.all([
        call(session, "kept_nonce", { nonce }),
        call(session, "other_echo", { text: nonce }),
      ]);
      if (!JSON.stringify(answer).includes(`"text":"${nonce}"`)) this.failures.push(answer);
      this.others.push(other);
      this.answered += 1;
    }
  }
}

function isNeitherAnswerNorUnknown(answer: unknown): boolean {
  // Every message is an object.
  const { result, error } = answer as { result?: unknown; error?: { code: number } };
  return result === undefined && error?.code !== -32_602;
}

async function call(session: RawSession, name: string, args = {}): Promise<unknown> {
  return session.request("tools/call", { name, arguments: args });
}

function namesNow(vmcp: Vmcp): string {
  return vmcp
    .overview()
    .tools.map(({ name }) => name)
    .toSorted()
    .join(" ");
}

function prefixed(config: VmcpConfigInput = {}): VmcpConfigInput {
  return {
    ...config,
    aggregation: { conflictResolution: "prefix", ...config.aggregation },
    server: { port: 0 },
  };
}

function only(tool: string, workloads: readonly string[]): Pick<VmcpConfigInput, "aggregation"> {
  return { aggregation: { tools: workloads.map((workload) => ({ workload, filter: [tool] })) } };
}

function at(name: string, { url }: HttpLedger) {
  return { name, url };
}

function range(length: number): readonly number[] {
  return Array.from({ length }, (_value, index) => index);
}

/** Lets that many turns of the event loop pass. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
