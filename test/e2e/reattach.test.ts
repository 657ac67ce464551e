import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { DurableBackend } from "../support/durable-backend.ts";
import { startGateway } from "../support/gateway.ts";
import type { Interceptor } from "../support/ledger-backend.ts";
import { noncesOf } from "../support/ledger.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import { answerText, callText, messagesOn, startHttp, toolCall } from "./protocol-backends.ts";

/** The part of an answer that says how a call failed. */
interface Failure {
  readonly message: string;
  readonly data: JsonObject;
}

async function failureOf(session: RawSession, message: JsonObject): Promise<Failure> {
  const answer = lastMessage(await session.post(message));
  // A call that failed has an error with data.
  return (answer as { readonly error: Failure }).error;
}

function nonceCall(nonce: string): JsonObject {
  return toolCall(`call ${nonce}`, "nonce", { nonce });
}

/** Answers every call of a tool with 404, as if its session were always gone. */
const GONE: Interceptor = (_request, body, response) => {
  if (!body.includes('"tools/call"')) return false;
  response.writeHead(404).end();
  return true;
};

describe("a backend process over HTTP that is killed", () => {
  test("before it ran the call leaves the session alive, and the next call finds the new one [F1] [A5]", async () => {
    await using durable = new DurableBackend();
    await durable.start("die-before");
    await using other = await startHttp();
    await using gateway = await startGateway({
      backends: [{ name: "b", url: durable.url }, other.entry("other")],
      aggregation: {
        conflictResolution: "priority",
        conflictResolutionConfig: { priorityOrder: ["b"] },
      },
    });
    const session = await openRawSession(gateway.url);

    const failure = await failureOf(session, nonceCall("one"));
    const beside = await callText(session, "echo", { text: "still here" });
    await durable.kill();
    await durable.start("answer");
    const next = lastMessage(await session.post(nonceCall("two")));

    expect(failure.data).toEqual({
      kind: "backend_closed",
      backend: "b",
      executionState: "unknown",
    });
    expect(beside).toBe("still here");
    expect(next).toMatchObject({
      result: { content: [{ text: "two" }], _meta: { backend_reinitialized: true } },
    });
    expect(durable.executions.map(({ nonce }) => nonce)).toEqual(["two"]);
  });

  test("after it ran the call leaves that unknown, and it is not run again [F2] [I1]", async () => {
    await using durable = new DurableBackend();
    await durable.start("die-after");
    await using gateway = await startGateway({ backends: [{ name: "b", url: durable.url }] });
    const session = await openRawSession(gateway.url);

    const failure = await failureOf(session, nonceCall("one"));
    await durable.kill();
    await durable.start("answer");
    await session.post(nonceCall("two"));

    expect(failure.data).toMatchObject({ kind: "backend_closed", executionState: "unknown" });
    expect(durable.executions.map(({ nonce }) => nonce)).toEqual(["one", "two"]);
  });

  test("and stays away is named by the error of each call to its tools [F1] [A6] [rfc R20]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    await backend.backend.stopListening();

    const failure = await failureOf(session, nonceCall("one"));

    expect(failure.message).toContain('Backend "b"');
    expect(failure.data).toMatchObject({
      kind: "backend_unreachable",
      backend: "b",
      executionState: "not_executed",
    });
  });
});

test("a session has one backend session for its lists and for every call [rfc R9]", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  await gateway.vmcp.probed();
  const before = backend.backend.initializeCount;
  const session = await openRawSession(gateway.url);

  await session.request("tools/list");
  const counts = [await callText(session, "count"), await callText(session, "count")];

  expect(counts).toEqual(["1", "2"]);
  expect(backend.backend.initializeCount - before).toBe(1);
});

describe("a backend that forgot its session", () => {
  test("and offers something else now has the client told of it [F3] [rfc R21]", async () => {
    await using backend = await startHttp({
      tools: ['{"name":"old","inputSchema":{"type":"object"}}'],
    });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();

    backend.backend.change({ tools: ['{"name":"new","inputSchema":{"type":"object"}}'] });
    backend.backend.forgetSessions();
    await callText(session, "count");
    await waitFor(() => stream.events.length > 0, { what: "the client hears of it" });
    const listed = JSON.stringify(await session.request("tools/list"));

    expect(messagesOn(stream)).toContainEqual(
      expect.objectContaining({ method: "notifications/tools/list_changed" }),
    );
    expect(listed).toContain('"new"');
    expect(listed).not.toContain('"old"');
    stream.destroy();
  });

  test("and offers the same has the client told of nothing [F3]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();

    backend.backend.forgetSessions();
    await callText(session, "count");
    await backend.canSpeakTo(1);
    backend.backend.change({ prompts: ['{"name":"p"}'] });
    backend.backend.forgetSessions();
    await callText(session, "count");
    await waitFor(() => stream.events.length > 0, { what: "the client hears of the prompt" });

    expect(messagesOn(stream).map(({ method }) => method)).toEqual([
      "notifications/prompts/list_changed",
    ]);
    stream.destroy();
  });

  test.for([
    [{ roots: { listChanged: true } }, 1],
    [{ roots: {} }, 0],
    [{}, 0],
  ] as const satisfies readonly (readonly [JsonObject, number])[])(
    "and whose client declared %j is told %i times to ask for the roots again [B9]",
    async ([capabilities, times]) => {
      await using backend = await startHttp();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url, { capabilities });
      const { ledger } = backend.backend;
      const told = (): number =>
        ledger.messages.filter(({ method }) => method === "notifications/roots/list_changed")
          .length;
      await callText(session, "count");
      const before = told();

      backend.backend.forgetSessions();
      await callText(session, "count");
      if (times > 0) await waitFor(() => told() === times);

      expect([before, told()]).toEqual([0, times]);
    },
  );

  test("and forgets the new one as well is given up: the call fails after one more initialize [F4]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const before = backend.backend.initializeCount;

    backend.backend.interceptWith(GONE);
    const failure = await failureOf(session, nonceCall("one"));
    const greetings = backend.backend.initializeCount - before;
    backend.backend.interceptWith(undefined);
    const next = lastMessage(await session.post(nonceCall("two")));

    expect(failure.data).toEqual({
      kind: "backend_session_lost",
      backend: "b",
      executionState: "not_executed",
    });
    expect(greetings).toBe(1);
    expect(next).toMatchObject({ result: { content: [{ text: "two" }] } });
    expect(noncesOf(backend.backend.ledger)).toEqual(["two"]);
  });

  test("while a hundred calls come gets one initialize, and runs each call once [F5] [I1]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), maxConcurrentCalls: 200 }],
      limits: { callsPerSession: 200 },
    });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    await callText(session, "count");
    const before = backend.backend.initializeCount;
    const requestsBefore = backend.backend.requests.length;
    const nonces = Array.from({ length: 100 }, (_value, index) => `nonce ${index}`);

    backend.backend.forgetSessions();
    const answers = await Promise.all(nonces.map(async (nonce) => session.post(nonceCall(nonce))));

    expect(answers.map((answer) => answerText(lastMessage(answer)))).toEqual(nonces);
    expect(noncesOf(backend.backend.ledger).toSorted()).toEqual(nonces.toSorted());
    expect(backend.backend.initializeCount - before).toBe(1);
    // There is nothing to end of a session that the backend forgot.
    const requests = backend.backend.requests.slice(requestsBefore);
    expect(requests.filter(({ method }) => method === "DELETE")).toEqual([]);
  });

  test("and is greeted again when the client leaves keeps no session [R12] [I4]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({
      backends: [backend.entry()],
      operational: { sessions: { drainDeadline: "50ms" } },
    });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    await callText(session, "count");
    const before = backend.backend.initializeCount;

    backend.backend.forgetSessions();
    backend.backend.change({ initDelayMs: 300 });
    const calling = session.post(toolCall("late", "count"));
    await waitFor(() => backend.backend.initializeCount > before);
    await session.delete();
    const late = lastMessage(await calling);
    await waitFor(() => backend.backend.openSessions === 0, { what: "no session is left" });

    expect(late).toMatchObject({ error: { data: { kind: "session_closed" } } });
    expect(backend.backend.ledger.calls.filter(({ tool }) => tool === "count")).toHaveLength(1);
  });
});

/** Ways in which a call can hang, each of which notes when the gateway has let go of it. */
const HANGS: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["before its headers", () => {}],
  [
    "in the middle of its body",
    (response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"jsonrpc":"2.0"');
    },
  ],
  [
    "by sending byte after byte",
    (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const dripping = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(dripping));
    },
  ],
];

describe.each(HANGS)("an HTTP backend that hangs %s", (_where, hang) => {
  test("is given up at the deadline, cut off and told so [F6] [I11]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), timeouts: { call: "300ms" } }],
    });
    const session = await openRawSession(gateway.url);
    let isCut = false;
    backend.backend.interceptWith((_request, body, response) => {
      if (!body.includes('"tools/call"')) return false;
      response.on("close", () => {
        isCut = true;
      });
      hang(response);
      return true;
    });

    const failure = await failureOf(session, nonceCall("one"));
    await waitFor(() => isCut, { what: "the request is broken off" });
    await waitFor(() => backend.backend.ledger.cancellations.length > 0, { what: "it is told" });
    backend.backend.interceptWith(undefined);

    expect(failure.data).toEqual({
      kind: "backend_timeout",
      backend: "b",
      executionState: "unknown",
    });
    expect(backend.backend.ledger.cancellations[0]?.requestId).toBe("call one");
    expect(await callText(session, "nonce", { nonce: "two" })).toBe("two");
  });
});
