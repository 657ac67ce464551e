import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { textOf } from "../support/clients.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import {
  askStateless,
  postStateless,
  resultOf,
  statelessHeaders,
  statelessMessage,
  type StatelessOptions,
} from "../support/stateless-client.ts";
import { BACKENDS, callText, startHttp } from "./protocol-backends.ts";

type Sessions = NonNullable<NonNullable<VmcpConfigInput["operational"]>["sessions"]>;

const KEYS = [
  { id: "a", secret: "alice-secret-0123456789abcdef", subject: "alice" },
  { id: "b", secret: "bob-secret-0123456789abcdef", subject: "bob" },
] as const;

async function countAt(url: string, headers: StatelessOptions["headers"] = {}): Promise<string> {
  const result = await resultOf(url, "tools/call", { name: "count", arguments: {} }, { headers });
  return textOf(result);
}

async function behind(url: string, sessions: Sessions = {}): Promise<Gateway> {
  const operational = { sessionManagementV2: true, sessions };
  return startGateway({ backends: [{ name: "b", url }], operational });
}

test.for(BACKENDS)(
  "clients with names of their own have sessions of their own, over %s [B1] [B17] [I3]",
  async ([, startBackend]) => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const byHeader = { "mcp-session-name": "two" };

    const counts = [
      await countAt(`${gateway.url}/s/one`),
      await countAt(gateway.url),
      await countAt(gateway.url, byHeader),
      await countAt(`${gateway.url}/s/one`),
      await countAt(`${gateway.url}/s/two`),
      await countAt(gateway.url),
    ];

    expect(counts).toEqual(["1", "1", "1", "2", "2", "2"]);
    expect(backend.backend.sessions).toHaveLength(3);
  },
);

test("clients with identities of their own have sessions of their own, whatever they call them [A8] [B1] [B17]", async () => {
  await using backend = await startHttp();
  const keys = KEYS.map((key) => ({ ...key }));
  await using gateway = await startGateway({
    backends: [backend.entry()],
    incomingAuth: { type: "apiKey", apiKey: { keys } },
  });
  const as = (index: 0 | 1): StatelessOptions["headers"] => ({
    authorization: `Bearer ${KEYS[index].secret}`,
  });

  const counts = [
    await countAt(`${gateway.url}/s/same`, as(0)),
    await countAt(`${gateway.url}/s/same`, as(1)),
    await countAt(`${gateway.url}/s/same`, as(0)),
  ];
  const nobody = await postStateless(gateway.url, statelessMessage(1, "tools/list"));

  expect(counts).toEqual(["1", "1", "2"]);
  expect(nobody.status).toBe(401);
});

test("a state of one identity is nothing to another [B17]", async () => {
  await using backend = await startHttp();
  const keys = KEYS.map((key) => ({ ...key }));
  await using gateway = await startGateway({
    backends: [backend.entry()],
    incomingAuth: { type: "apiKey", apiKey: { keys } },
  });
  const as = (index: 0 | 1): StatelessOptions => ({
    headers: { authorization: `Bearer ${KEYS[index].secret}` },
    capabilities: { elicitation: {} },
  });
  const args = { method: "elicitation/create", params: { message: "?", requestedSchema: {} } };
  const call = { name: "ask", arguments: args };
  const { requestState = "" } = await resultOf(gateway.url, "tools/call", call, as(0));

  const stolen = await askStateless(gateway.url, "tools/call", { ...call, requestState }, as(1));

  expect(stolen).toMatchObject({ error: { code: -32_602 } });
  expect(backend.backend.ledger.calls).toHaveLength(1);
});

test("many first requests at once make one session", async () => {
  await using backend = await startHttp({ initDelayMs: 50 });
  await using gateway = await behind(backend.backend.url);

  const counts = await Promise.all(Array.from({ length: 8 }, async () => countAt(gateway.url)));

  expect(counts.toSorted()).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
  expect(gateway.vmcp.sessions.sessionCount).toBe(1);
});

test("a session that nobody uses ends, and the next request makes another [B11] [B17]", async () => {
  await using backend = await startHttp();
  await using gateway = await behind(backend.backend.url, { idleTtl: "1s" });
  await countAt(gateway.url);

  await waitFor(() => gateway.vmcp.sessions.sessionCount === 0, { timeoutMs: 10_000 });
  const [open] = [backend.backend.openSessions];
  const again = await countAt(gateway.url);

  expect(open).toBeLessThanOrEqual(1);
  expect(again).toBe("1");
});

test("a session that was ended from elsewhere is made again without its clients noticing", async () => {
  await using backend = await startHttp();
  await using gateway = await behind(backend.backend.url);
  await countAt(gateway.url);
  const [session] = gateway.vmcp.sessions.liveSessions();

  const ended = gateway.vmcp.sessions.terminate(session?.id ?? "");
  const meanwhile = await countAt(gateway.url);
  await ended;

  expect(meanwhile).toBe("1");
});

test("where no session can be had, each request says when to try again, and the next one that can makes it [A9]", async () => {
  await using backend = await startHttp();
  await using gateway = await behind(backend.backend.url, { maxSessions: 1 });
  const holder = await openRawSession(gateway.url);
  const stream = await holder.openStream();
  const message = statelessMessage(1, "tools/list");

  const refused = await postStateless(gateway.url, message);
  stream.destroy();
  await holder.delete();
  const served = await postStateless(gateway.url, message);

  expect(refused.status).toBe(503);
  expect(refused.headers["retry-after"]).toBe("30");
  expect(served.status).toBe(200);
});

test("a sessionful client at a named path has a session of its own, like anywhere else", async () => {
  await using backend = await startHttp();
  await using gateway = await behind(backend.backend.url);
  await countAt(`${gateway.url}/s/name`);

  const session = await openRawSession(`${gateway.url}/s/name`);
  const count = await callText(session, "count");
  await session.delete();

  expect(count).toBe("1");
});

test("a backend that asks outside of calls hears that nobody can be asked", async () => {
  await using backend = await startHttp();
  await using gateway = await behind(backend.backend.url);
  const listening = await listen(gateway.url);
  await backend.canSpeakTo(1);
  const [session] = backend.backend.sessions;
  if (session === undefined) throw new Error("there is no session");

  const answer = await backend.backend.request(session, "roots/list", {});

  expect(JSON.parse(answer)).toMatchObject({ error: { code: -32_601 } });
  listening.abort();
});

test("both kinds of isolation serve stateless clients", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({
    backends: [backend.entry()],
    operational: { sessionManagementV2: false },
  });

  const counts = [await countAt(gateway.url), await countAt(gateway.url)];

  expect(counts).toEqual(["1", "1"]);
});

async function listen(url: string): Promise<AbortController> {
  const notifications: JsonObject = { toolsListChanged: true };
  const message = statelessMessage(1, "subscriptions/listen", { notifications });
  const leaving = new AbortController();
  await fetch(url, {
    method: "POST",
    headers: statelessHeaders(message),
    body: JSON.stringify(message),
    signal: leaving.signal,
  });
  return leaving;
}
