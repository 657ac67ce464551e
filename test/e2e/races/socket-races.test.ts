import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/domain/json.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startStdioLedger } from "../../support/ledger-stdio.ts";
import { waitFor } from "../../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../../support/raw-client.ts";
import { SeededRandom } from "../../support/seeded-random.ts";
import { answerText, callText, toolCall } from "../protocol-backends.ts";
import { startFaultGateway, startSse } from "../faults/fault-backends.ts";

test("the same ids from 50 sessions at once each get their own answer, in their own backend session [R1] [I1] [I3]", async () => {
  await using http = await startHttpLedger();
  await using sse = await startSse();
  await using gateway = await startFaultGateway([
    { name: "http", url: http.url },
    { ...sse.entry("sse"), maxConcurrentCalls: 1_000 },
  ]);
  await gateway.vmcp.probed();
  const sessions = await Promise.all(
    Array.from({ length: 50 }, async () => openRawSession(gateway.url)),
  );

  const faults = await Promise.all(
    sessions.flatMap((session, owner) =>
      [0, 1, "0", "vmcp"].map(async (id) => {
        const backend = owner % 2 === 0 ? "http" : "sse";
        const nonce = `${owner} ${typeof id} ${id}`;
        const args = { nonce, ms: (owner * 7) % 30 };
        const answer = await session.post(toolCall(id, `${backend}_nonce`, args));
        const message = lastMessage(answer);
        // Whatever was answered is a message.
        const isOwn = (message as JsonObject)["id"] === id && answerText(message) === nonce;
        return isOwn ? [] : [`${nonce} got ${answer.text}`];
      }),
    ),
  );

  expect(faults.flat()).toEqual([]);
  const calls = [...http.ledger.calls, ...sse.backend.ledger.calls];
  expect(new Set(calls.map(({ nonce }) => nonce)).size).toBe(200);
  const owners = new Map<string, Set<string>>();
  for (const { session, nonce = "" } of calls) {
    const seen = owners.get(session) ?? new Set();
    owners.set(session, seen.add(nonce.split(" ")[0] ?? ""));
  }
  expect([...owners.values()].every((seen) => seen.size === 1)).toBe(true);
}, 60_000);

describe("one connection that two sessions share", () => {
  /** Posts on the agent's one connection. */
  async function postOn(
    agent: Agent,
    url: string,
    { headers }: RawSession,
    message: JsonObject,
  ): Promise<{ readonly status: number | undefined; readonly text: string }> {
    const request = httpRequest(url, {
      agent,
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
    });
    request.end(JSON.stringify(message));
    // The emitter's own contract: `response` carries the message.
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return { status: response.statusCode, text: await readText(response) };
  }

  test.for([1, 2, 3, 4, 5])(
    "serves each request for the session that it names, and none for one that has ended: seed %i [R2] [I3]",
    async (seed) => {
      await using ledger = await startHttpLedger();
      await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
      const random = new SeededRandom(seed);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const sessions = await Promise.all(
        Array.from({ length: 2 }, async () => openRawSession(gateway.url)),
      );
      const counts = [0, 0];
      const ended = new Set<number>();
      const faults: string[] = [];

      for (let n = 0; n < 60; n += 1) {
        const who = random.int(2);
        const session = sessions[who];
        if (session === undefined) throw new RangeError(`no session ${who}`);
        // Requests of one connection follow each other.
        // oxlint-disable no-await-in-loop
        if (n > 30 && !ended.has(who) && random.chance(0.05)) {
          await session.delete();
          ended.add(who);
        }
        const answer = await postOn(agent, gateway.url, session, toolCall(n, "count"));
        // oxlint-enable no-await-in-loop
        const expected = ended.has(who) ? "-32001" : `"text":"${(counts[who] ?? 0) + 1}"`;
        if (!ended.has(who)) counts[who] = (counts[who] ?? 0) + 1;
        const isRight = answer.text.includes(expected) && answer.text.includes(`"id":${n},`);
        if (!isRight) faults.push(`${n} of ${who} got ${answer.status} ${answer.text}`);
      }
      agent.destroy();

      expect(faults).toEqual([]);
    },
  );

  test("answers requests that were sent without waiting in their order, each for its session [R2] [I2] [I3]", async () => {
    await using ledger = await startHttpLedger();
    await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
    const sessions = await Promise.all(
      Array.from({ length: 2 }, async () => openRawSession(gateway.url)),
    );
    const bytes = Array.from({ length: 20 }, (_value, n) => {
      const session = sessions[n % 2];
      const args = { nonce: `nonce ${n} of ${n % 2}`, ms: n % 3 === 0 ? 20 : 0 };
      const body = JSON.stringify(toolCall(Math.floor(n / 2), "nonce", args));
      const headers = {
        ...session?.headers,
        host: "localhost",
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "content-length": String(body.length),
        ...(n === 19 && { connection: "close" }),
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      return `POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
    });

    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.write(bytes.join(""));
    const received = await readText(socket);

    const nonces = [...received.matchAll(/nonce (\d+) of (\d)/g)].map(([nonce]) => nonce);
    expect(nonces).toEqual(bytes.map((_bytes, n) => `nonce ${n} of ${n % 2}`));
    const owners = ledger.ledger.calls.map(({ session, nonce }) => [nonce?.at(-1), session].join());
    expect(new Set(owners).size).toBe(2);
  });
});

const SEEDS = Array.from({ length: 25 }, (_value, index) => index + 1);

/** Event-loop turns: enough to meet every stage of what goes on beside it. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    // Turns come one after the other.
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

test("a backend session that is opened anew while its client leaves is not left behind [R12] [I2] [I4]", async () => {
  await using ledger = await startHttpLedger({ initDelayMs: 2 });
  await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
  await gateway.vmcp.probed();
  const idle = ledger.openSessions;
  const answered: string[] = [];

  await Promise.all(
    SEEDS.map(async (seed) => {
      const random = new SeededRandom(seed);
      const session = await openRawSession(gateway.url);
      await callText(session, "count");
      if (seed % 5 === 0) ledger.forgetSessions();
      const calls = [1, 2].map(async (id) => {
        await turns(random.int(4));
        const answer = await session.post(toolCall(id, "nonce", { nonce: `${seed} ${id}` }));
        answered.push(answer.text);
      });
      await turns(random.int(40));
      await Promise.all([session.delete(), ...calls]);
    }),
  );

  await waitFor(() => ledger.openSessions <= idle, { what: "no session of a client" });
  expect(answered).toHaveLength(SEEDS.length * 2);
  expect(answered.filter((text) => !/"result"|"error"/.test(text))).toEqual([]);
  const nonces = ledger.ledger.calls.flatMap(({ nonce }) => nonce ?? []);
  expect(new Set(nonces).size).toBe(nonces.length);
  expect(gateway.vmcp.sessions.sessionCount).toBe(0);
}, 60_000);

test("a child that is started anew while its client leaves is not left behind [R20] [I5]", async () => {
  await using ledger = await startStdioLedger();
  await using gateway = await startFaultGateway([
    { name: "b", command: ledger.command, args: [...ledger.args] },
  ]);
  await gateway.vmcp.probed();

  for (const seed of SEEDS.slice(0, 12)) {
    const random = new SeededRandom(seed);
    // Processes are dear: one session after the other.
    // oxlint-disable no-await-in-loop
    const session = await openRawSession(gateway.url);
    await callText(session, "count");
    ledger.children.at(-1)?.exit(1);
    await turns(random.int(20));
    const call = session.post(toolCall(1, "count"));
    await turns(random.int(60));
    await Promise.all([session.delete(), call]);
    await waitFor(() => ledger.aliveChildren.length === 0, { what: `no child of seed ${seed}` });
    // oxlint-enable no-await-in-loop
  }

  expect(gateway.vmcp.sessions.sessionCount).toBe(0);
}, 60_000);

test("a tool that vanishes while it is listed and called is executed or unknown, and never another's [R16] [I3]", async () => {
  const vanishing = '{"name":"vanishing","inputSchema":{"type":"object"}}';
  const named = (name: string): ReadonlyMap<string, string> =>
    new Map([["vanishing", `{"content":[{"type":"text","text":"of ${name}"}]}`]]);
  await using first = await startHttpLedger({ tools: [vanishing], results: named("first") });
  await using second = await startHttpLedger({ results: named("second") });
  await using gateway = await startFaultGateway(
    [
      { name: "first", url: first.url },
      { name: "second", url: second.url },
    ],
    { aggregation: { conflictResolution: "prefixOnConflict" } },
  );
  await gateway.vmcp.probed();
  const answers: string[] = [];
  const lists: string[] = [];

  await Promise.all(
    SEEDS.map(async (seed) => {
      const random = new SeededRandom(seed);
      const session = await openRawSession(gateway.url);
      const stream = await session.openStream();
      for (let step = 0; step < 6; step += 1) {
        // Each session goes step by step, beside the others.
        // oxlint-disable no-await-in-loop
        await turns(random.int(10));
        if (seed === 1) {
          first.change({ tools: step % 2 === 0 ? [] : [vanishing] });
          first.notify("notifications/tools/list_changed");
        }
        const list = session.post({ jsonrpc: "2.0", id: `l${step}`, method: "tools/list" });
        const call = session.post(toolCall(step, "vanishing"));
        lists.push((await list).text);
        answers.push((await call).text);
        // oxlint-enable no-await-in-loop
      }
      stream.destroy();
      await session.delete();
    }),
  );

  expect(answers).toHaveLength(SEEDS.length * 6);
  expect(answers.filter((text) => !text.includes("of first") && !text.includes("-32602"))).toEqual(
    [],
  );
  expect(lists.filter((text) => !text.includes('"tools":['))).toEqual([]);
  expect(second.ledger.calls).toEqual([]);
}, 60_000);
