import { describe, expect, test } from "vitest";
import {
  capabilitySet,
  fakeBackend,
  message,
  type FakeBackend,
} from "../../test/support/fake-backends.ts";
import {
  CLIENT,
  createFactory,
  inboundRequest,
  openSession,
  PLAIN_NAMES,
} from "../../test/support/sessions.ts";
import type { CapabilitySet } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { DEFAULT_MESSAGE_LIMITS, parseInbound } from "../mcp/inbound-message.ts";
import { Catalogues } from "./catalogues.ts";
import type { FactoryConfiguration } from "./multi-session-factory.ts";
import type { LiveSession } from "./live-session.ts";

const SAMPLING_CLIENT = { ...CLIENT, capabilities: { sampling: {} } };
const PLAIN: FactoryConfiguration = { aggregation: PLAIN_NAMES, drainDeadlineMs: 2_000 };
const ASKED = message({ jsonrpc: "2.0", id: 7, method: "sampling/createMessage", params: {} });
const LISTS_CHANGED = message({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
const never = async (): Promise<never> => new Promise(() => {});

function recordingSink(): AnswerSink & { readonly heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    event: ({ bytes }) => heard.push(bytes.toString()) > 0,
    answer: ({ bytes }) => void heard.push(bytes.toString()),
    fail: ({ code }) => void heard.push(code),
  };
}

function call(session: LiveSession, id = 1) {
  const sink = recordingSink();
  session.forward(inboundRequest(id, "tools/call", { name: "t", arguments: {} }), sink);
  return sink;
}

function listen(session: LiveSession): string[] {
  const told: string[] = [];
  session.notify(parsed("notification", { method: "notifications/initialized" }));
  session.attachStream({ send: (bytes) => told.push(bytes.toString()) > 0, end() {} });
  return told;
}

function parsed<K extends "notification" | "response">(kind: K, value: object) {
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...value }));
  const inbound = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);
  if (inbound.kind !== kind) throw new Error(`not a ${kind}`);
  // The line above has compared the very member that tells the kinds apart.
  return inbound as Extract<typeof inbound, { kind: K }>;
}

function gone(): VmcpError {
  return new VmcpError("backend_session_lost", "gone", { executionState: "not_executed" });
}

function lose(backend: FakeBackend): void {
  backend.connections.at(-1)?.request.listener.lost(gone());
}

describe("a call that still waits on a connection which was lost", () => {
  test("takes nothing that the new connection asks: the answer goes to who asked", async () => {
    const backend = fakeBackend("b", { tools: ["t"], answer: never });
    await using session = await openSession([backend], { client: SAMPLING_CLIENT });
    const slow = call(session, 1);
    lose(backend);
    session.retry(backend.name);
    await expect.poll(() => session.backends()).toMatchObject([{ phase: "ready" }]);
    const told = listen(session);

    backend.connections[1]?.request.listener.unsolicited(ASKED);
    const [asked = "{}"] = [...slow.heard, ...told];
    session.answer(parsed("response", { id: JSON.parse(asked).id, result: {} }));

    const sent = backend.connections.map((connection) => connection.sent.map(String));
    expect(sent).toEqual([[], ['{"jsonrpc":"2.0","id":7,"result":{}}']]);
    slow.heard.length = 0;
    backend.connections[0]?.sinks.get(1)?.fail(gone());
  });
});

describe("a connection that is lost while the client has a question of it to answer", () => {
  test("waits for nothing any more: the client hears so, and the session is idle", async () => {
    const backend = fakeBackend("b", { tools: ["t"] });
    await using session = await openSession([backend], { client: SAMPLING_CLIENT });
    const told = listen(session);
    backend.connections[0]?.request.listener.unsolicited(ASKED);
    const { id } = JSON.parse(told[0] ?? "{}");

    lose(backend);

    expect(JSON.parse(told[1] ?? "{}")).toMatchObject({
      method: "notifications/cancelled",
      params: { requestId: id },
    });
  });

  test("does not keep a session without a stream busy", async () => {
    const backend = fakeBackend("b", { tools: ["t"] });
    await using session = await openSession([backend], { client: SAMPLING_CLIENT });
    backend.connections[0]?.request.listener.unsolicited(ASKED);
    const whileAsked = session.isBusy;

    lose(backend);

    expect([whileAsked, session.isBusy]).toEqual([true, false]);
  });
});

test("a call that still waits for its backend when the session closes was not executed", async () => {
  const backend = fakeBackend("b", { tools: ["t"], beforeConnect: never });
  const known = new Catalogues(() => 0);
  known.remember(backend.name, "probe", capabilitySet({ tools: ["t"] }));
  const session = await openSession([backend], {
    catalogues: known,
    startDeadlineMs: 1,
    drainDeadlineMs: 1,
  });
  const states: unknown[] = [];
  const request = inboundRequest(1, "tools/call", { name: "t" });
  session.forward(request, {
    ...recordingSink(),
    fail: ({ code, executionState }) => void states.push([code, executionState]),
  });

  await session[Symbol.asyncDispose]();

  expect(states).toEqual([["session_closed", "not_executed"]]);
});

test("where each call has a backend session of its own, the loss of one harms no other call", async () => {
  const backend = fakeBackend("b", {
    tools: ["t"],
    answer: never,
    outcome: ({ connection, capabilities }) => ({
      capabilities,
      connection: connection && { ...connection, hasSessionPerCall: true },
    }),
  });
  await using session = await openSession([backend]);
  const [first, second] = [call(session, 1), call(session, 2)];
  const [connection] = backend.connections;

  connection?.sinks.get(1)?.fail(gone());
  await expect.poll(() => connection?.received.map(({ id }) => id)).toEqual([1, 2, 1]);
  for (const id of [1, 2]) {
    connection?.sinks.get(id)?.answer(message({ jsonrpc: "2.0", id, result: {} }));
  }

  expect(backend.connections).toHaveLength(1);
  expect(first.heard).toEqual(['{"jsonrpc":"2.0","id":1,"result":{}}']);
  expect(second.heard).toEqual(['{"jsonrpc":"2.0","id":2,"result":{}}']);
});

test("lists that a replaced backend says late are not taken for those of the one in its place", async () => {
  let finish = (_lists: CapabilitySet): void => {};
  const late = new Promise<CapabilitySet>((resolve) => {
    finish = resolve;
  });
  const before = fakeBackend("b", { tools: ["t"], answer: never });
  const after = fakeBackend("b", { tools: ["new"] });
  const catalogues = new Catalogues(() => 0);
  const factory = createFactory({ catalogues });
  await using session = await factory.makeSession(ANONYMOUS, [before], { client: CLIENT });
  const [connection] = before.connections;
  if (connection === undefined) throw new Error("not connected");
  connection.listCapabilities = async () => late;
  call(session);
  connection.request.listener.unsolicited(LISTS_CHANGED);
  catalogues.forget(before.name);
  const departed = factory.reconfigure(PLAIN, [after]);
  const namesOf = (): readonly string[] => session.tools.map(({ name }) => name);
  await expect.poll(namesOf).toEqual(["new"]);

  finish(capabilitySet({ tools: ["old"] }));
  await late;
  await new Promise(setImmediate);

  expect(namesOf()).toEqual(["new"]);
  connection.sinks.get(1)?.fail(new VmcpError("backend_timeout", "late"));
  await departed;
});
