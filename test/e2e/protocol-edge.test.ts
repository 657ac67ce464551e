import { expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  JSON_AND_EVENTS,
  lastMessage,
  openRawSession,
  postMessage,
  sendRaw,
  startRaw,
} from "../support/raw-client.ts";
import {
  answerText,
  callText,
  initializeMessage,
  lastMessageOf,
  messagesOn,
  requestOn,
  startHttp,
  startStdio,
  toolCall,
} from "./protocol-backends.ts";

const JSON_HEADERS = { "content-type": "application/json", accept: JSON_AND_EVENTS };

// [spec:transport-6] [spec:transport-28]
test("one path takes POST and GET, and says what else it takes", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const stream = await session.openStream();
  const put = await sendRaw(gateway.url, { method: "PUT", headers: session.headers });

  expect([stream.status, stream.headers["content-type"]]).toEqual([200, "text/event-stream"]);
  expect([put.status, put.headers.allow]).toEqual([405, "POST, GET, DELETE"]);
  stream.destroy();
});

// [spec:transport-7] [spec:transport-8]
test.for(["POST", "GET", "DELETE"])(
  "%s from a web page of another site gets 403 and does nothing",
  async (method) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const body = JSON.stringify(toolCall(1, "count"));

    const answer = await sendRaw(gateway.url, {
      method,
      headers: { ...JSON_HEADERS, ...session.headers, origin: "https://evil.example.com" },
      ...(method === "POST" && { body }),
    });

    expect(answer.status).toBe(403);
    expect(answer.text === "" || !("id" in JSON.parse(answer.text))).toBe(true);
    expect(await callText(session, "count")).toBe("1");
  },
);

// [spec:transport-9]
test("a gateway that is not told otherwise listens on loopback only", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });

  expect(new URL(gateway.url).hostname).toBe("127.0.0.1");
});

// [spec:transport-14] [spec:base-9]
test.for<[string, object]>([
  ["a notification", { method: "notifications/initialized" }],
  ["a notification that nobody knows", { method: "notifications/x", params: { a: 1 } }],
  ["an answer that nobody waits for", { id: "vmcp:99", result: {} }],
  ["an error that nobody waits for", { id: 5, error: { code: 1, message: "m" } }],
])("%s is answered by 202 without a body", async ([, message]) => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.post({ jsonrpc: "2.0", ...message });

  expect([answer.status, answer.text]).toEqual([202, ""]);
});

// [spec:transport-15] [spec:base-1] [spec:base-7] [spec:transport-1]
test.for<[string, string | Uint8Array]>([
  ["a notification of another protocol", '{"jsonrpc":"1.0","method":"notifications/initialized"}'],
  ["a notification without a method", '{"jsonrpc":"2.0"}'],
  [
    "an answer with result and error",
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
  ],
  ["an answer with neither", '{"jsonrpc":"2.0","id":1}'],
  ["what is not JSON", "{"],
  ["what is not UTF-8", Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
])("%s gets 400 and an error without an id", async ([, body]) => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await sendRaw(gateway.url, {
    method: "POST",
    headers: { ...JSON_HEADERS, ...session.headers },
    body,
  });

  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.text)).toMatchObject({
    jsonrpc: "2.0",
    error: { code: expect.any(Number) },
  });
  expect(JSON.parse(answer.text)).not.toHaveProperty("id");
});

// [spec:base-2] [spec:base-3]
test.for(["null", "1.5", "true", "{}", "[1]"])(
  "a request with the id %s is refused",
  async (id) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const answer = await session.post(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);

    expect([answer.status, lastMessage(answer)]).toMatchObject([400, { error: { code: -32_600 } }]);
  },
);

// [spec:base-5] [spec:base-6] [spec:transport-16]
test.for(["0", "-1", '"0"', '""', "9007199254740993", '"\\u00e9 \\n"'])(
  "a request with the id %s is answered under that id, to the byte",
  async (id) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const ping = await session.post(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);
    const call = await session.post(
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"no_such_tool"}}`,
    );

    expect(ping.headers["content-type"]).toBe("application/json");
    expect(ping.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
    expect(call.text).toContain(`"id":${id},"error":{"code":-32602`);
  },
);

// [spec:transport-16] [spec:transport-22] [spec:transport-24] [spec:transport-48]
test.for([
  ["a lone answer", toolCall(1, "count"), "application/json", 0],
  [
    "an answer after progress",
    toolCall(1, "slow", { ms: 20, steps: 2 }, "t"),
    "text/event-stream",
    3,
  ],
] as const)("%s comes as %s and ends its response", async ([, message, type, events]) => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.startPost(message);
  await answer.ended;

  expect(answer.headers["content-type"]).toBe(type);
  expect(answer.events).toHaveLength(events);
  expect(lastMessage(answer)).toMatchObject({ id: 1, result: {} });
});

// [spec:transport-30] [spec:transport-31]
test("responses stay off the GET stream, however busy the session is", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
  const stream = await session.openStream();

  const calls = await Promise.all(
    Array.from({ length: 10 }, async (_value, index) =>
      session.post(toolCall(index, "slow", { ms: 50, steps: 2 }, index)),
    ),
  );
  const asking = await session.startPost(toolCall("ask", "ask", { method: "roots/list" }));
  const { id } = await requestOn([asking, stream], "roots/list");
  await session.post({ jsonrpc: "2.0", id, result: { roots: [] } });
  await asking.ended;

  expect(calls.map((call) => messagesOn(call).at(-1)?.["id"])).toEqual(
    calls.map((_call, index) => index),
  );
  const responses = messagesOn(stream).filter(({ method }) => method === undefined);
  expect(responses).toEqual([]);
  stream.destroy();
});

// [spec:transport-36] [spec:transport-37] [spec:security-2]
test("session ids are random, visible ASCII and never the same", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });

  const sessions = await Promise.all(
    Array.from({ length: 20 }, async () => openRawSession(gateway.url)),
  );
  const ids = sessions.map(({ id }) => id);

  expect(new Set(ids).size).toBe(20);
  // The shape of a random UUID, whose 122 random bits nobody guesses.
  expect(
    ids.filter(
      (id) => !/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(id),
    ),
  ).toEqual([]);
  expect(
    sessions.filter(({ id }) =>
      backend.backend.ledger.messages.some(({ text }) => text.includes(id)),
    ),
  ).toEqual([]);
});

// [spec:transport-40]
test.for(["POST", "GET", "DELETE"])("%s without a session id gets 400", async (method) => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });

  const answer = await sendRaw(gateway.url, {
    method,
    headers: { ...JSON_HEADERS, "mcp-protocol-version": "2025-11-25" },
    ...(method === "POST" && { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' }),
  });

  expect(answer.status).toBe(400);
});

// [spec:transport-41]
test("every kind of request to a session that has ended gets 404", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  await session.delete();

  const answers = [
    await session.post(toolCall(1, "count")),
    await session.post({ jsonrpc: "2.0", method: "notifications/initialized" }),
    await session.post({ jsonrpc: "2.0", id: "vmcp:1", result: {} }),
    await session.openStream(),
    await session.delete(),
  ];

  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
});

// [spec:transport-46] [spec:lifecycle-13]
test.for(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
  "a session of %s is served without the version header",
  async (revision) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { revision });
    const headers = { "mcp-session-id": session.id };

    const answer = await postMessage(gateway.url, toolCall(1, "count"), headers);

    expect(answerText(lastMessage(answer))).toBe("1");
  },
);

// [spec:transport-47] [spec:lifecycle-13]
test.for(["POST", "GET", "DELETE"])(
  "%s with a revision that is not supported gets 400",
  async (method) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const answers = [];
    for (const version of ["1999-01-01", "latest", "2025-11-25, 2025-06-18"])
      answers.push(
        await startRaw(gateway.url, {
          method,
          headers: { ...JSON_HEADERS, ...session.headers, "mcp-protocol-version": version },
          ...(method === "POST" && { body: JSON.stringify(toolCall(1, "count")) }),
        }),
      );

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect(await callText(session, "count")).toBe("1");
  },
);

// [spec:lifecycle-13]
test.for(["2024-11-05", "2025-06-18", "2025-11-25"])(
  "a session of %s gets no batches answered, which its revision does not know",
  async (revision) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { revision });

    const answer = await session.post(`[${JSON.stringify(toolCall(1, "count"))}]`);

    expect([answer.status, lastMessage(answer)]).toMatchObject([400, { error: { code: -32_600 } }]);
    expect(await callText(session, "count")).toBe("1");
  },
);

// [spec:security-1]
test.for([
  ["a token", { authorization: "Bearer canary-0123456789" }],
  ["a key", { "x-api-key": "canary-0123456789" }],
] as const)("what a client presents as credentials, %s, is not passed on", async ([, proof]) => {
  await using backend = await startHttp();
  const keys = [{ id: "k", secret: "canary-0123456789", subject: "alice" }];
  await using gateway = await startGateway({
    backends: [backend.entry()],
    incomingAuth: { type: "apiKey", apiKey: { keys } },
  });
  const session = await openRawSession(gateway.url, { headers: { ...proof, cookie: "canary=1" } });
  const stream = await session.openStream();

  await callText(session, "count");
  await waitFor(() => backend.backend.openStreams === 1);
  await session.delete();

  const received = backend.backend.requests.map((request) => JSON.stringify(request.headers));
  expect(received.filter((text) => text.includes("canary"))).toEqual([]);
  stream.destroy();
});

// [spec:base-12]
test("reserved and foreign keys of _meta pass in both directions as they are", async () => {
  const meta = {
    "io.modelcontextprotocol/future": { odd: [null, 1e21] },
    "com.example/mine": false,
    traceparent: "00-1-2-3",
    "": "",
  };
  await using backend = await startHttp({
    tools: [JSON.stringify({ name: "meta", inputSchema: { type: "object" }, _meta: meta })],
    results: new Map([["meta", JSON.stringify({ content: [], _meta: meta })]]),
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.request("tools/call", { name: "meta", _meta: meta });
  const list = JSON.stringify(await session.request("tools/list"));

  expect(answer).toMatchObject({ result: { _meta: meta } });
  expect(list).toContain(JSON.stringify(meta));
  const call = backend.backend.ledger.messages.find(({ method }) => method === "tools/call");
  expect(JSON.parse(call?.text ?? "").params._meta).toEqual(meta);
});

// [spec:base-4] [spec:base-10]
test("a backend sees every id once, and notifications without one", async () => {
  await using backend = await startHttp({ resources: ['{"uri":"m://one","name":"one"}'] });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  await session.request("logging/setLevel", { level: "debug" });
  await session.request("logging/setLevel", { level: "info" });
  await session.request("resources/subscribe", { uri: "m://one" });
  for (let call = 0; call < 5; call += 1) await callText(session, "count");
  await waitFor(
    () =>
      backend.backend.ledger.messages.filter(({ method }) => method === "logging/setLevel")
        .length === 2,
  );

  const [own] = backend.backend.sessions.filter(({ clientParams }) =>
    JSON.stringify(clientParams).includes("raw-client"),
  );

  const messages = backend.backend.ledger.messages.filter(
    (message) => message.session === own?.tag,
  );
  const ids = messages.flatMap(({ id }) => id ?? []);
  expect(ids.length).toBeGreaterThan(9);
  expect(new Set(ids).size).toBe(ids.length);
  const notifications = messages.filter(({ method }) => method?.startsWith("notifications/"));
  expect(notifications.map(({ id }) => id)).toEqual([undefined]);
});

test("two requests at once on one connection with equal ids in different sessions get their own answers", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const sessions = await Promise.all(
    Array.from({ length: 5 }, async () => openRawSession(gateway.url)),
  );

  const answers = await Promise.all(
    sessions.map(async (session, index) =>
      session.post(toolCall(1, "nonce", { nonce: `nonce ${index}` })),
    ),
  );

  const texts = await Promise.all(
    answers.map(async (answer) => answerText(await lastMessageOf(answer))),
  );
  expect(texts).toEqual(sessions.map((_session, index) => `nonce ${index}`));
});

// [spec:base-13]
test("what the gateway adds to _meta has a valid name", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  backend.backend.forgetSessions();

  const answer = await session.request("tools/call", { name: "count" });

  // What a result of a tool of the ledger holds when it is marked.
  const { result } = answer as { readonly result: { readonly _meta?: object } };
  const keys = Object.keys(result._meta ?? {});
  expect(keys).toEqual(["backend_reinitialized"]);
  expect(keys.every((key) => /^[a-z0-9A-Z](?:[\w.-]*[a-z0-9A-Z])?$/.test(key))).toBe(true);
});

test("initialize with an unknown session id is refused, and opens nothing", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });

  const answer = await postMessage(gateway.url, initializeMessage("2025-11-25"), {
    "mcp-session-id": "made-up",
  });

  expect([answer.status, lastMessage(answer)]).toMatchObject([
    404,
    { id: 0, error: { code: -32_001 } },
  ]);
  expect(gateway.vmcp.sessions.sessionCount).toBe(0);
});
