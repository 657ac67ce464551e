import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import {
  answerText,
  callText,
  childOf,
  messagesOn,
  methodsOn,
  requestOn,
  startHttp,
  startStdio,
  toolCall,
} from "./protocol-backends.ts";

// [spec:transport-11] [spec:transport-12] [spec:transport-13] [spec:transport-39] [spec:transport-44] [spec:transport-45] [spec:base-1]
test.for([
  ["2025-11-25", "2025-11-25"],
  ["2025-06-18", "2025-06-18"],
  ["2025-03-26", undefined],
  ["2024-11-05", undefined],
] as const)(
  "every message to a backend of %s is a POST of its own with the headers it needs",
  async ([revision, header]) => {
    await using backend = await startHttp({ revision });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    await session.request("logging/setLevel", { level: "debug" });
    const call = await session.startPost(toolCall(1, "ask", { method: "roots/list" }));
    const { id } = await requestOn([call], "roots/list");
    await session.post({ jsonrpc: "2.0", id, result: { roots: [] } });
    await call.ended;
    await session.delete();

    const posts = backend.backend.requests.filter(
      ({ method, headers }) => method === "POST" && headers["mcp-method"] === undefined,
    );

    expect(posts).toHaveLength(backend.backend.ledger.messages.length);
    expect(posts.every(({ path }) => path === "/mcp")).toBe(true);
    expect(new Set(posts.map(({ headers }) => headers.accept))).toEqual(
      new Set(["application/json, text/event-stream"]),
    );
    const messages: JsonObject[] = backend.backend.ledger.messages.map(({ text }) =>
      JSON.parse(text),
    );
    expect(messages.every((message) => message["jsonrpc"] === "2.0")).toBe(true);
    const later = posts.filter(({ headers }) => headers["mcp-session-id"] !== undefined);
    expect(posts.length - later.length).toBe(backend.backend.initializeCount);
    expect(new Set(later.map(({ headers }) => headers["mcp-protocol-version"]))).toEqual(
      new Set([header]),
    );
  },
);

// [spec:transport-17]
test.for(["json", "sse"] as const)("answers that come as %s are understood", async (answerAs) => {
  await using backend = await startHttp({ answerAs });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  expect(await callText(session, "echo", { text: "grüße" })).toBe("grüße");
});

// [spec:transport-43]
test("a session that has ended is deleted at the backend, with its id and revision", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  await gateway.vmcp.probed();
  await callText(session, "count");
  const before = backend.backend.ledger.deletes.length;

  await session.delete();

  expect(backend.backend.ledger.deletes).toHaveLength(before + 1);
  const sent = backend.backend.requests.findLast(({ method }) => method === "DELETE");
  expect(sent?.headers["mcp-protocol-version"]).toBe("2025-11-25");
});

// [spec:transport-27] [spec:transport-34] [spec:transport-21]
test("a notification stream that broke is opened again with the last event id, not before the time it named", async () => {
  // A backend that announces no changes of its lists has no stream with the gateway's own session.
  await using backend = await startHttp({ capabilities: { logging: {}, tools: {} } });
  const opened: { readonly atMs: number; readonly accept: unknown; readonly lastId: unknown }[] =
    [];
  let cut: (() => void) | undefined;
  backend.backend.interceptWith(({ method, headers }, _body, response) => {
    if (method !== "GET") return false;
    opened.push({
      atMs: performance.now(),
      accept: headers.accept,
      lastId: headers["last-event-id"],
    });
    response.writeHead(200, { "content-type": "text/event-stream" });
    const data = JSON.stringify({
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { level: "info", data: `stream ${opened.length}` },
    });
    response.write(`id: event-${opened.length}\nretry: 1500\ndata: ${data}\n\n`);
    cut = () => void response.end();
    return true;
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await waitFor(() => stream.events.length === 1);

  cut?.();

  await waitFor(() => stream.events.length === 2);
  expect(opened.map(({ accept, lastId }) => [accept, lastId])).toEqual([
    ["text/event-stream", undefined],
    ["text/event-stream", "event-1"],
  ]);
  // What is shown is a lower bound, which no slow machine breaks.
  const [first, second] = opened.map(({ atMs }) => atMs);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(1_500);
  stream.destroy();
});

// [spec:transport-38]
test("a backend's session id is found in no log, status, answer or error", async () => {
  const seen: string[] = [];
  const record = (message: string, fields?: unknown): void =>
    void seen.push(`${message} ${JSON.stringify(fields)}`);
  await using backend = await startHttp();
  await using gateway = await startGateway(
    { backends: [backend.entry()] },
    { logger: { debug: record, info: record, warn: record, error: record } },
  );
  const session = await openRawSession(gateway.url);
  seen.push(session.initializeAnswer.text, JSON.stringify(session.initializeAnswer.headers));
  const stream = await session.openStream();
  seen.push(JSON.stringify(await session.request("tools/list")));
  backend.backend.change({ refuseWithStatus: 500 });
  seen.push((await session.post(toolCall(1, "count"))).text);
  backend.backend.change({ refuseWithStatus: undefined });
  backend.backend.forgetSessions();
  seen.push((await session.post(toolCall(2, "count"))).text);
  seen.push(await (await fetch(new URL("/status", gateway.url))).text());

  const ids = new Set(
    backend.backend.requests.flatMap(({ headers }) => headers["mcp-session-id"] ?? []),
  );

  expect(ids.size).toBeGreaterThan(1);
  expect([...ids].filter((id) => seen.some((text) => text.includes(id)))).toEqual([]);
  stream.destroy();
});

// [spec:base-19]
test("a batch of messages of a backend is read message by message, over HTTP and stdio", async () => {
  await using http = await startHttp({ revision: "2025-03-26" });
  await using stdio = await startStdio({ revision: "2025-03-26", name: "stdio" });
  http.backend.interceptWith((_request, body, response) => {
    if (!body.includes('"tools/call"')) return false;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(`data: ${batchFor(JSON.parse(body).id)}\n\n`);
    return true;
  });
  await using gateway = await startGateway({
    backends: [http.entry("http"), stdio.entry("stdio")],
  });
  const session = await openRawSession(gateway.url, { revision: "2025-03-26" });

  const overHttp = await session.post(toolCall(1, "http_count"));
  const child = await childOf(stdio, session, "stdio_whoami");
  const overStdio = session.post(toolCall(2, "stdio_hang"));
  await waitFor(() => stdio.backend.ledger.calls.some(({ tool }) => tool === "hang"));
  child.writeLine(batchFor(2));

  expect(messagesOn(overHttp)).toMatchObject([
    { method: "notifications/message" },
    { id: 1, result: { content: [{ text: "from a batch" }] } },
  ]);
  expect(messagesOn(await overStdio)).toMatchObject([
    { method: "notifications/message" },
    { id: 2, result: { content: [{ text: "from a batch" }] } },
  ]);
});

// [spec:transport-2] [spec:transport-3] [spec:transport-5]
test("what is written to a child is one message per line, however the client wrote it", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const pretty = JSON.stringify(toolCall(1, "echo", { text: "a\nb\u2028c" }), null, 2);

  const answer = await session.post(pretty.replaceAll("\n", "\r\n"));

  expect(answerText(lastMessage(answer))).toBe("a\nb\u2028c");
  const lines = backend.backend.children.flatMap((child) => child.lines);
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.map((line) => JSON.parse(line).jsonrpc)).toEqual(lines.map(() => "2.0"));
});

// [spec:transport-4]
test("what a child writes to stderr fails nothing and reaches no client", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  const child = await childOf(backend, session);

  for (let line = 0; line < 200; line += 1) child.writeStderr(`ERROR ${line}: all is lost\n`);

  expect(await callText(session, "count")).toBe("1");
  expect(await callText(session, "count")).toBe("2");
  expect(methodsOn(stream)).toEqual([]);
  stream.destroy();
});

// [spec:base-17]
test("a child finds the credentials that it was configured with in its environment", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({
    backends: [{ ...backend.entry(), env: { API_KEY: "for-the-child" } }],
  });
  const session = await openRawSession(gateway.url);

  const child = await childOf(backend, session);

  expect(child.env.get("API_KEY")).toBe("for-the-child");
});

/** What a backend may hear before it has answered: which revisions it speaks, and that a session begins. */
const GREETINGS: ReadonlySet<string> = new Set(["server/discover", "initialize"]);

// [spec:cancel-2]
test("an initialize that takes too long is given up without a cancellation", async () => {
  await using http = await startHttp({ initialize: "hang" });
  await using stdio = await startStdio({ initialize: "hang" });
  await using gateway = await startGateway({
    backends: [
      { ...http.entry("http"), timeouts: { start: "200ms" } },
      { ...stdio.entry("stdio"), timeouts: { start: "200ms" } },
    ],
  });

  const session = await openRawSession(gateway.url);

  expect(session.initializeAnswer.text).toContain("every backend failed to start");
  const methods = [http, stdio].flatMap(({ backend }) =>
    backend.ledger.messages.map(({ method }) => method),
  );
  expect(methods).toContain("initialize");
  expect(methods.filter((method = "") => !GREETINGS.has(method))).toEqual([]);
});

// [spec:tools-7]
test("a call whose answer was lost is not made again, whatever the tool's annotations say", async () => {
  const annotations = { readOnlyHint: true, idempotentHint: true };
  await using backend = await startHttp({
    tools: [JSON.stringify({ name: "once", inputSchema: { type: "object" }, annotations })],
  });
  let calls = 0;
  backend.backend.interceptWith((request, body) => {
    if (!body.includes('"tools/call"')) return false;
    calls += 1;
    request.socket.destroy();
    return true;
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.post(toolCall(1, "once"));

  expect(lastMessage(answer)).toMatchObject({
    error: { data: { kind: "backend_closed", executionState: "unknown" } },
  });
  expect(calls).toBe(1);
});

function batchFor(id: number): string {
  return JSON.stringify([
    { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "first" } },
    { jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "from a batch" }] } },
  ]);
}
