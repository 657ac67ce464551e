import { expect, test } from "vitest";
import { connectV1, textOf } from "./clients.ts";
import { HttpLedger, startHttpLedger } from "./ledger-backend.ts";
import { noncesOf } from "./ledger.ts";
import { waitFor } from "./quiescence.ts";
import { lastMessage, openRawSession, postMessage } from "./raw-client.ts";

test("each session has a counter and a tag of its own", async () => {
  await using ledger = await startHttpLedger({ name: "one" });
  await using first = await connectV1(ledger.url);
  await using second = await connectV1(ledger.url);
  const count = async ({ client }: typeof first): Promise<string> =>
    textOf(await client.callTool({ name: "count" }));
  const whoami = async ({ client }: typeof first): Promise<string> =>
    textOf(await client.callTool({ name: "whoami" }));

  const counts = [await count(first), await count(first), await count(second)];

  expect(counts).toEqual(["1", "2", "1"]);
  expect(await whoami(first)).toMatch(/^one [0-9a-f]{8}$/);
  expect(await whoami(first)).not.toBe(await whoami(second));
  expect(ledger.initializeCount).toBe(2);
  expect(ledger.openSessions).toBe(2);
});

test("the ledger has every execution with its nonce and every end of a session", async () => {
  await using ledger = await startHttpLedger();
  const connected = await connectV1(ledger.url);
  const { client } = connected;
  await client.callTool({ name: "nonce", arguments: { nonce: "a" } });
  await client.callTool({ name: "nonce", arguments: { nonce: "b" } });

  await connected.close();

  expect(noncesOf(ledger.ledger)).toEqual(["a", "b"]);
  expect(ledger.ledger.deletes).toEqual([ledger.ledger.calls[0]?.session]);
  expect(ledger.openSessions).toBe(0);
  await waitFor(() => ledger.openStreams === 0);
});

test("raw returns its arguments as they came on the wire", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);
  const args = '{"big":9007199254740993, "__proto__":{"a":1},"e":1e400,"a":1,"a":2}';

  const answer = await session.post(
    `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"raw","arguments":${args}}}`,
  );

  expect(textOf((lastMessage(answer) as { result: unknown }).result)).toBe(args);
  expect(ledger.ledger.calls[0]?.argumentsText).toBe(args);
});

test.for(["json", "sse"] as const)("answers as %s", async (answerAs) => {
  await using ledger = await startHttpLedger({ answerAs });
  const session = await openRawSession(ledger.url);

  const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "ping" });

  const type = answerAs === "json" ? "application/json" : "text/event-stream";
  expect(answer.headers["content-type"]).toBe(type);
  expect(lastMessage(answer)).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
});

test("progress comes before the answer, in order, with the caller's token", async () => {
  await using ledger = await startHttpLedger();
  await using connected = await connectV1(ledger.url);
  const steps: number[] = [];

  const result = await connected.client.callTool(
    { name: "slow", arguments: { ms: 20, steps: 3 } },
    undefined,
    { onprogress: ({ progress }) => void steps.push(progress) },
  );

  expect(steps).toEqual([1, 2, 3]);
  expect(textOf(result)).toBe("waited 20 ms");
});

test("a cancelled call is recorded and gets no answer", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);
  const call = { jsonrpc: "2.0", id: 5, method: "tools/call", params: { name: "hang" } };
  const answer = session.post(call);
  await waitFor(() => ledger.ledger.calls.length === 1);

  await session.post({
    jsonrpc: "2.0",
    method: "notifications/cancelled",
    params: { requestId: 5, reason: "enough" },
  });

  expect(ledger.ledger.cancellations).toMatchObject([
    { requestId: 5, reason: "enough", wasInFlight: true },
  ]);
  await ledger.close();
  await expect(answer).rejects.toThrow("socket hang up");
});

test("hanging on initialize lasts until the script changes", async () => {
  await using ledger = await startHttpLedger({ initialize: "hang" });
  const session = openRawSession(ledger.url);
  await waitFor(() => ledger.initializeCount === 1);
  expect(ledger.openSessions).toBe(0);

  ledger.change({ initialize: "answer" });

  expect(await (await session).request("ping")).toMatchObject({ result: {} });
});

test("lists come in pages and raw entries survive", async () => {
  const odd = '{"name":"odd","inputSchema":{"type":"object"},"icons":[1e400],"x-vendor":{}}';
  await using ledger = await startHttpLedger({
    hasBuiltInTools: false,
    tools: [odd, odd, odd],
    pageSize: 2,
  });
  const session = await openRawSession(ledger.url);

  const first = await session.post({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const second = await session.request("tools/list", { cursor: "2" });

  expect(first.text).toBe(
    `{"jsonrpc":"2.0","id":1,"result":{"tools":[${odd},${odd}],"nextCursor":"2"}}`,
  );
  expect(second).toMatchObject({ result: { tools: [{ name: "odd" }] } });
  expect(second).not.toHaveProperty("result.nextCursor");
});

test("a scripted result is sent as it is written", async () => {
  const result = '{"content":[{"type":"hologram","big":9007199254740993}]}';
  await using ledger = await startHttpLedger({ results: new Map([["odd", result]]) });
  const session = await openRawSession(ledger.url);

  const answer = await session.post(
    '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"odd"}}',
  );

  expect(answer.text).toBe(`{"jsonrpc":"2.0","id":"x","result":${result}}`);
});

test("updated reaches those who subscribed and list_changed everybody with a stream", async () => {
  await using ledger = await startHttpLedger({ resources: ['{"uri":"t://a","name":"a"}'] });
  await using subscriber = await connectV1(ledger.url);
  await using other = await connectV1(ledger.url);
  await subscriber.client.subscribeResource({ uri: "t://a" });
  await waitFor(() => ledger.openStreams === 2);

  const updated = ledger.resourceUpdated("t://a");
  const changed = ledger.notify("notifications/tools/list_changed");

  expect([updated, changed]).toEqual([1, 2]);
  await waitFor(() => subscriber.notifications.length === 2 && other.notifications.length === 1);
  expect(other.notifications[0]?.method).toBe("notifications/tools/list_changed");
});

test("asks the client during a call and outside of one", async () => {
  await using ledger = await startHttpLedger();
  await using connected = await connectV1(ledger.url, { roots: [{ uri: "file:///r" }] });
  await waitFor(() => ledger.openStreams === 1);
  const [session] = ledger.sessions;

  const inside = await connected.client.callTool({
    name: "ask",
    arguments: { method: "roots/list", params: {} },
  });
  const outside = session && (await ledger.request(session, "roots/list", {}));

  expect(textOf(inside)).toContain("file:///r");
  expect(outside).toContain("file:///r");
});

test("log messages below the session's level are not sent", async () => {
  await using ledger = await startHttpLedger();
  await using connected = await connectV1(ledger.url);
  const log = async (level: string): Promise<unknown> =>
    connected.client.callTool({ name: "log", arguments: { level, data: level } });
  await connected.client.setLoggingLevel("warning");

  await log("info");
  await log("error");

  expect(connected.notifications).toMatchObject([{ params: { level: "error" } }]);
});

test("a forgotten session gets 404", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);

  ledger.forgetSessions();

  expect((await session.post({ jsonrpc: "2.0", id: 1, method: "ping" })).status).toBe(404);
});

test("listens again on the same port after it stopped", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);
  const ping = async (): Promise<unknown> => session.request("ping");
  await ledger.stopListening();
  await expect(ping()).rejects.toThrow("ECONNREFUSED");

  await ledger.listen();

  expect(await ping()).toMatchObject({ result: {} });
});

test("an interceptor answers in place of the backend", async () => {
  await using ledger = await startHttpLedger();
  ledger.interceptWith((_request, _body, response) => {
    response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
    return true;
  });

  const answer = await postMessage(ledger.url, "{}");

  expect(answer.status).toBe(302);
});

test.for([
  ["a POST that does not accept events", { accept: "application/json" }, 406],
  ["a POST of another type", { "content-type": "text/plain" }, 415],
  ["a session that is not known", { "mcp-session-id": "nobody" }, 404],
] as const)("refuses %s", async ([, headers, status]) => {
  await using ledger = await startHttpLedger();

  const answer = await postMessage(ledger.url, '{"method":"initialize"}', headers);

  expect(answer.status).toBe(status);
});

test("refuses requests that do not name the revision agreed on", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

  const answer = await postMessage(ledger.url, ping, { "mcp-session-id": session.id });

  expect(answer.status).toBe(400);
});

test.for([
  ["resources/list", {}, { resources: [{ uri: "t://a" }] }],
  ["resources/templates/list", {}, { resourceTemplates: [{ uriTemplate: "t://{x}" }] }],
  ["resources/read", { uri: "t://a" }, { contents: [{ uri: "t://a", text: "t://a of ledger" }] }],
  ["resources/read", { uri: "t://scripted" }, { contents: [{ text: "scripted" }] }],
  ["prompts/list", {}, { prompts: [{ name: "p" }] }],
  ["prompts/get", { name: "p" }, { messages: [{ content: { text: "prompt p of ledger" } }] }],
  ["completion/complete", {}, { completion: { values: ["alpha", "beta"] } }],
  ["logging/setLevel", { level: "error" }, {}],
  ["tools/call", { name: "fail" }, { isError: true }],
  ["tools/call", { name: "big", arguments: { bytes: 3 } }, { content: [{ text: "xxx" }] }],
] as const)("answers %s %j", async ([method, params, result]) => {
  await using ledger = await startHttpLedger({
    resources: ['{"uri":"t://a","name":"a"}'],
    resourceTemplates: ['{"uriTemplate":"t://{x}","name":"t"}'],
    contents: new Map([["t://scripted", '{"contents":[{"text":"scripted"}]}']]),
    prompts: ['{"name":"p"}'],
  });
  const session = await openRawSession(ledger.url);

  expect(await session.request(method, params)).toMatchObject({ result });
});

test.for([
  ["tools/call", { name: "absent" }, -32_602],
  ["prompts/get", { name: "absent" }, -32_602],
  ["nothing/known", {}, -32_601],
] as const)("refuses %s %j", async ([method, params, code]) => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);

  expect(await session.request(method, params)).toMatchObject({ error: { code } });
  expect(ledger.ledger.calls).toEqual([]);
});

test("failing on initialize opens no session", async () => {
  await using ledger = await startHttpLedger({ initialize: "fail" });

  await expect(openRawSession(ledger.url)).rejects.toThrow("cannot start");
  expect(ledger.openSessions).toBe(0);
});

test("emit sends its notification on the call's own stream", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);
  const args = { method: "notifications/x", params: { a: 1 }, times: 2 };

  const answer = await session.post({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "emit", arguments: args },
  });

  expect(answer.events).toHaveLength(3);
  expect(answer.events[0]).toBe('{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}');
});

test("the answer to initialize is what the script says", async () => {
  await using ledger = await startHttpLedger({
    name: "told",
    revision: "2024-11-05",
    instructions: "read me",
    capabilities: { experimental: {} },
    initDelayMs: 1,
  });

  const { initializeAnswer } = await openRawSession(ledger.url);

  expect(lastMessage(initializeAnswer)).toMatchObject({
    result: {
      protocolVersion: "2024-11-05",
      capabilities: { experimental: {} },
      serverInfo: { name: "told" },
      instructions: "read me",
    },
  });
});

test("crash cuts the connection", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url);

  const answer = session.request("tools/call", { name: "crash", arguments: {} });

  await expect(answer).rejects.toThrow("socket hang up");
  expect(ledger.ledger.calls).toHaveLength(1);
});

test("closing leaves no socket and can be repeated", async () => {
  const ledger = new HttpLedger({});
  await ledger.listen();
  const connected = await connectV1(ledger.url);

  await ledger.close();
  await ledger.close();

  expect(ledger.sockets).toBe(0);
  await connected.vanish();
});
