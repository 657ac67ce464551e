import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import type { LogFields, Logger } from "../../src/domain/logger.ts";
import { connectV1, connectV2, textOf } from "../support/clients.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, type RawAnswer } from "../support/raw-client.ts";
import {
  answerText,
  BACKENDS,
  backendSessionOf,
  callText,
  lastMessageOf,
  messagesOn,
  methodsAt,
  methodsOn,
  openSilently,
  requestOn,
  startHttp,
  toolCall,
} from "./protocol-backends.ts";

const ALL_CAPABILITIES: JsonObject = {
  sampling: { tools: {} },
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
};

const FORM: JsonObject = {
  message: "Your name?",
  requestedSchema: { type: "object", properties: { name: { type: "string" } } },
};

/** A request of a backend, and the client's answer to it. */
interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly result: JsonObject;
}

const QUESTIONS: readonly (readonly [string, Question])[] = [
  [
    "sampling",
    {
      method: "sampling/createMessage",
      params: {
        messages: [{ role: "user", content: { type: "text", text: "2+2?" } }],
        maxTokens: 9,
      },
      result: { role: "assistant", content: { type: "text", text: "4" }, model: "m" },
    },
  ],
  [
    "sampling with tools",
    {
      method: "sampling/createMessage",
      params: {
        messages: [],
        maxTokens: 9,
        tools: [{ name: "t", inputSchema: { type: "object" } }],
      },
      result: { role: "assistant", content: [], model: "m", stopReason: "toolUse" },
    },
  ],
  [
    "elicitation by form",
    {
      method: "elicitation/create",
      params: { ...FORM, mode: "form" },
      result: { action: "accept", content: { name: "octo" } },
    },
  ],
  [
    "elicitation without a mode",
    { method: "elicitation/create", params: FORM, result: { action: "decline" } },
  ],
  [
    "elicitation by URL",
    {
      method: "elicitation/create",
      params: {
        mode: "url",
        elicitationId: "e-1",
        url: "https://example.com/key",
        message: "Key?",
      },
      result: { action: "accept" },
    },
  ],
  [
    "roots",
    {
      method: "roots/list",
      params: {},
      result: { roots: [{ uri: "file:///project", name: "w" }] },
    },
  ],
];

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  describe.each([true, false])("and an open GET stream: %s", (hasStream) => {
    // [spec:lifecycle-14] [spec:base-2] [spec:transport-31]
    test.for(QUESTIONS)(
      "%s within a call asks the calling client and completes the call [B5]",
      async ([, { method, params, result }]) => {
        await using backend = await startBackend();
        await using gateway = await startGateway({ backends: [backend.entry()] });
        const other = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
        const othersStream = await other.openStream();
        const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
        const streams: RawAnswer[] = hasStream ? [await session.openStream()] : [];

        const call = await session.startPost(toolCall(1, "ask", { method, params }));
        const request = await requestOn([call, ...streams], method);
        const taken = await session.post({ jsonrpc: "2.0", id: request.id, result });
        const answer = await lastMessageOf(call);

        expect(request["params"]).toEqual(params);
        expect([taken.status, taken.text]).toEqual([202, ""]);
        expect(JSON.parse(answerText(answer))).toEqual({ jsonrpc: "2.0", id: 1, result });
        const heard = [call, ...streams].flatMap(methodsOn).filter((each) => each === method);
        expect(heard).toEqual([method]);
        expect(messagesOn(othersStream)).toEqual([]);
        for (const stream of [othersStream, ...streams]) stream.destroy();
      },
    );
  });

  // [spec:sampling-4]
  test("a client's refusal reaches the backend as it is [B5]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { sampling: {} } });
    const error = { code: -1, message: "User rejected sampling request", data: { why: [1] } };

    const call = await session.startPost(
      toolCall(1, "ask", { method: "sampling/createMessage", params: { maxTokens: 1 } }),
    );
    const { id } = await requestOn([call], "sampling/createMessage");
    await session.post({ jsonrpc: "2.0", id, error });

    expect(JSON.parse(answerText(await lastMessageOf(call)))).toEqual({
      jsonrpc: "2.0",
      id: 1,
      error,
    });
  });

  // [spec:lifecycle-14] [spec:roots-3] [spec:roots-4] [spec:sampling-2] [spec:elicitation-2] [spec:elicitation-3] [spec:lifecycle-20]
  test.for<[string, JsonObject, string, JsonObject, number]>([
    ["sampling", {}, "sampling/createMessage", { maxTokens: 1 }, -32_601],
    ["sampling with tools", { sampling: {} }, "sampling/createMessage", { tools: [] }, -32_602],
    ["a choice of tools", { sampling: {} }, "sampling/createMessage", { toolChoice: {} }, -32_602],
    ["elicitation", { sampling: {} }, "elicitation/create", FORM, -32_601],
    ["a URL", { elicitation: {} }, "elicitation/create", { mode: "url" }, -32_602],
    [
      "a URL, only forms",
      { elicitation: { form: {} } },
      "elicitation/create",
      { mode: "url" },
      -32_602,
    ],
    ["a form, only URLs", { elicitation: { url: {} } }, "elicitation/create", FORM, -32_602],
    [
      "an unknown mode",
      { elicitation: { form: {} } },
      "elicitation/create",
      { mode: "smell" },
      -32_602,
    ],
    ["roots", { elicitation: {} }, "roots/list", {}, -32_601],
    ["what no revision knows", ALL_CAPABILITIES, "secrets/list", {}, -32_601],
  ])(
    "%s that was not declared is refused at once and asks nobody",
    async ([, capabilities, method, params, code]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url, { capabilities });

      const answer = await session.post(toolCall(1, "ask", { method, params }));

      expect(JSON.parse(answer.text)).toMatchObject({ id: 1, result: {} });
      expect(JSON.parse(answerText(JSON.parse(answer.text)))).toMatchObject({ error: { code } });
    },
  );

  // [spec:sampling-1] [spec:elicitation-1] [spec:roots-1] [spec:lifecycle-2]
  test("a backend is told exactly what the client declared, and who the client is", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const rich = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const poor = await openRawSession(gateway.url, { capabilities: {} });

    const told = await Promise.all(
      [rich, poor].map(async (session) => (await backendSessionOf(backend, session)).clientParams),
    );

    const clientInfo = { name: "raw-client", version: "1.0.0" };
    expect(told).toEqual([
      { protocolVersion: "2025-11-25", capabilities: ALL_CAPABILITIES, clientInfo },
      { protocolVersion: "2025-11-25", capabilities: {}, clientInfo },
    ]);
  });

  // [spec:elicitation-7] [spec:base-4]
  test("nobody but the client that was asked can answer, and only once [B5]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const alice = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const eve = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const call = await alice.startPost(
      toolCall(1, "ask", { method: "elicitation/create", params: FORM }),
    );
    const { id } = await requestOn([call], "elicitation/create");
    const answerOf = (name: string): JsonObject => ({
      jsonrpc: "2.0",
      id,
      result: { action: "accept", content: { name } },
    });

    const forged = await eve.post(answerOf("eve"));
    await alice.post(answerOf("alice"));
    const answer = await lastMessageOf(call);
    await alice.post(answerOf("alice again"));

    expect(forged.status).toBe(202);
    expect(JSON.parse(answerText(answer))).toMatchObject({
      result: { content: { name: "alice" } },
    });
    await callText(alice, "count");
    const answers = backend.backend.ledger.messages.filter(({ method }) => method === undefined);
    expect(answers.map(({ text }) => JSON.parse(text).result.content.name)).toEqual(["alice"]);
  });

  // [spec:base-4]
  test("two calls that ask at once each get their own answer, whatever ids the backend uses [B5]", async () => {
    await using backend = await startBackend();
    await using second = await startBackend({ name: "second" });
    await using gateway = await startGateway({
      backends: [backend.entry("one"), second.entry("two")],
    });
    const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const ask = { method: "elicitation/create", params: FORM };
    const calls = await Promise.all([
      session.startPost(toolCall(1, "one_ask", ask)),
      session.startPost(toolCall(2, "two_ask", ask)),
    ]);

    const requests = await Promise.all(calls.map(async (call) => requestOn([call], ask.method)));
    for (const [index, { id }] of [...requests.entries()].toReversed()) {
      await session.post({ jsonrpc: "2.0", id, result: { action: `answer ${index}` } });
    }

    const answers = await Promise.all(
      calls.map(async (call) => answerText(await lastMessageOf(call))),
    );
    expect(answers.map((text) => JSON.parse(text))).toEqual([
      { jsonrpc: "2.0", id: 1, result: { action: "answer 0" } },
      { jsonrpc: "2.0", id: 1, result: { action: "answer 1" } },
    ]);
    expect(new Set(requests.map(({ id }) => id)).size).toBe(2);
  });

  // [spec:elicitation-4] [spec:elicitation-5]
  test("that an interaction is complete is told to the client that was asked, and to no other [B5]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const asked = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const other = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const othersStream = await other.openStream();
    const params = { elicitationId: "e-1" };

    const answer = await asked.post(
      toolCall(1, "emit", { method: "notifications/elicitation/complete", params }),
    );

    expect(messagesOn(answer)).toMatchObject([
      { method: "notifications/elicitation/complete", params },
      { id: 1 },
    ]);
    expect(messagesOn(othersStream)).toEqual([]);
    othersStream.destroy();
  });

  // [spec:roots-2]
  test("a change of the roots is told to every backend of that client, and to no other session's", async () => {
    await using backend = await startBackend();
    await using second = await startBackend({ name: "second" });
    await using gateway = await startGateway({
      backends: [backend.entry("one"), second.entry("two")],
    });
    const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const other = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const method = "notifications/roots/list_changed";

    await session.post({ jsonrpc: "2.0", method });

    for (const [each, prefix] of [
      [backend, "one"],
      [second, "two"],
    ] as const) {
      const own = await backendSessionOf(each, session, `${prefix}_whoami`);
      await waitFor(() => methodsAt(each, own).includes(method));
      const foreign = await backendSessionOf(each, other, `${prefix}_whoami`);
      expect(methodsAt(each, foreign)).not.toContain(method);
    }
  });

  // [spec:lifecycle-16] [spec:lifecycle-17]
  test("a client that does not answer in time is told that nobody waits any longer, and so is the backend", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), timeouts: { clientAnswer: "100ms" } }],
    });
    const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
    const stream = await session.openStream();

    const call = await session.startPost(toolCall(1, "ask", { method: "roots/list" }));
    const { id } = await requestOn([call, stream], "roots/list");

    await waitFor(() => methodsOn(stream).includes("notifications/cancelled"));
    expect(messagesOn(stream)).toMatchObject([
      { method: "notifications/cancelled", params: { requestId: id } },
    ]);
    // The backend hears of it by an error, or its own call has timed out just before.
    expect(await lastMessageOf(call)).toMatchObject({ id: 1 });
    stream.destroy();
  });

  // [spec:lifecycle-6]
  test("a client that has not said that it is initialized is asked nothing until it has", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    // A session whose client has sent initialize and nothing else.
    const silent = await openSilently(gateway.url, { roots: {} });
    const stream = await silent.openStream();
    await backend.canSpeakTo(1);
    const [own] = backend.backend.sessions.filter(
      ({ clientParams }) =>
        isJsonObject(clientParams["capabilities"]) && "roots" in clientParams["capabilities"],
    );
    if (own === undefined) throw new Error("the backend has no session");

    const asking = backend.backend.request(own, "roots/list", {});
    await silent.post({ jsonrpc: "2.0", id: 1, method: "ping" });
    const before = stream.events.length;
    await silent.post({ jsonrpc: "2.0", method: "notifications/initialized" });
    const { id } = await requestOn([stream], "roots/list");
    await silent.post({ jsonrpc: "2.0", id, result: { roots: [] } });

    expect(before).toBe(0);
    expect(JSON.parse(await asking)).toMatchObject({ result: { roots: [] } });
    stream.destroy();
  });
});

// [spec:elicitation-6]
test("the error that asks for a URL arrives with its list of elicitations [B5]", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
  const error = {
    code: -32_042,
    message: "This request requires more information.",
    data: {
      elicitations: [{ mode: "url", elicitationId: "e-1", url: "https://x/", message: "m" }],
    },
  };
  backend.backend.interceptWith((_request, body, response) => {
    if (!body.includes('"tools/call"')) return false;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: 3, error }));
    return true;
  });

  const answer = await session.post(toolCall(3, "count"));

  expect(JSON.parse(answer.text)).toEqual({ jsonrpc: "2.0", id: 3, error });
});

// [spec:elicitation-8]
test("the URL of an elicitation is not fetched by the gateway", async () => {
  const visits: string[] = [];
  const trap = createServer((request, response) => {
    visits.push(String(request.url));
    response.end();
  });
  trap.listen(0, "127.0.0.1");
  await once(trap, "listening");
  // A server that listens on TCP has an address object.
  const { port } = trap.address() as AddressInfo;
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });
  const params = {
    mode: "url",
    elicitationId: "e",
    url: `http://127.0.0.1:${port}/x`,
    message: "m",
  };

  const call = await session.startPost(
    toolCall(1, "ask", { method: "elicitation/create", params }),
  );
  const { id } = await requestOn([call], "elicitation/create");
  await session.post({ jsonrpc: "2.0", id, result: { action: "accept" } });
  await call.ended;
  await session.delete();

  expect(visits).toEqual([]);
  trap.close();
});

// [spec:sampling-5]
test("what is asked and answered is not in the log", async () => {
  const lines: string[] = [];
  await using backend = await startHttp();
  await using gateway = await startGateway(
    { backends: [backend.entry()] },
    { logger: recordingLogger(lines) },
  );
  const session = await openRawSession(gateway.url, { capabilities: ALL_CAPABILITIES });

  const call = await session.startPost(
    toolCall(1, "ask", { method: "sampling/createMessage", params: { secret: "canary-question" } }),
  );
  const { id } = await requestOn([call], "sampling/createMessage");
  await session.post({ jsonrpc: "2.0", id, result: { text: "canary-answer" } });
  await call.ended;
  // An answer that nobody waits for is logged as such.
  await session.post({ jsonrpc: "2.0", id, result: { text: "canary-late" } });

  expect(lines.length).toBeGreaterThan(0);
  expect(lines.filter((line) => line.includes("canary"))).toEqual([]);
});

describe.each(BACKENDS)(
  "the official clients, with a backend over %s",
  (_transport, startBackend) => {
    // [spec:base-11]
    test.for([
      ["SDK v1", connectV1],
      ["SDK v2", connectV2],
    ] as const)(
      "the client of %s answers sampling, elicitation and roots within calls [B5]",
      async ([, connect]) => {
        await using backend = await startBackend();
        await using gateway = await startGateway({ backends: [backend.entry()] });
        await using connected = await connect(gateway.url, {
          onSampling: () => ({
            role: "assistant",
            content: { type: "text", text: "4" },
            model: "m",
          }),
          onElicitation: () => ({ action: "accept", content: { name: "octo" } }),
          roots: [{ uri: "file:///w" }],
        });
        const ask = async (method: string, params: JsonObject): Promise<unknown> =>
          JSON.parse(
            textOf(await connected.client.callTool({ name: "ask", arguments: { method, params } })),
          ).result;

        const answers = [
          await ask("sampling/createMessage", {
            messages: [{ role: "user", content: { type: "text", text: "2+2?" } }],
            maxTokens: 9,
          }),
          await ask("elicitation/create", FORM),
          await ask("roots/list", {}),
        ];

        expect(answers).toMatchObject([
          { content: { text: "4" } },
          { action: "accept", content: { name: "octo" } },
          { roots: [{ uri: "file:///w" }] },
        ]);
      },
    );
  },
);

function recordingLogger(lines: string[]): Logger {
  const record = (message: string, fields?: LogFields): void =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { debug: record, info: record, warn: record, error: record };
}
