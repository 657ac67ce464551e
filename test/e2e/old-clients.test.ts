import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { textOf } from "../support/clients.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { sendRaw, startRaw, type RawAnswer } from "../support/raw-client.ts";

const ACCEPT = { action: "accept" as const, content: { colour: "red" } };

interface Connected extends AsyncDisposable {
  readonly client: Client;
  readonly notifications: readonly string[];
  readonly callText: (name: string, args?: Record<string, unknown>) => Promise<string>;
}

async function connectOverSse(gateway: Gateway): Promise<Connected> {
  const client = new Client(
    { name: "old-client", version: "1.0.0" },
    { capabilities: { elicitation: {} } },
  );
  client.setRequestHandler(ElicitRequestSchema, () => ACCEPT);
  const notifications: string[] = [];
  client.fallbackNotificationHandler = async ({ method }) => void notifications.push(method);
  await client.connect(new SSEClientTransport(new URL("/sse", gateway.url)));
  return {
    client,
    notifications,
    callText: async (name, args = {}) => textOf(await client.callTool({ name, arguments: args })),
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

async function startOldGateway(backend: HttpLedger): Promise<Gateway> {
  return startGateway({
    backends: [{ name: "b1", url: backend.url }],
    server: { legacySse: true },
    operational: { sessionManagementV2: true, sessions: { maxSessions: 4 } },
    limits: { requestBytes: "64KiB", streamBufferBytes: "64KiB" },
  });
}

describe("with the HTTP+SSE client of SDK v1", () => {
  test("calls of both kinds of backends keep their state, and progress arrives", async () => {
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
      server: { legacySse: true },
      operational: { sessionManagementV2: true },
    });
    await using connected = await connectOverSse(gateway);
    const { client, callText } = connected;
    const progress: unknown[] = [];

    const counts = [
      await callText("http_count"),
      await callText("http_count"),
      await callText("stdio_count"),
      await callText("stdio_count"),
    ];
    await client.callTool({ name: "stdio_slow", arguments: { ms: 40, steps: 2 } }, undefined, {
      onprogress: (step) => void progress.push(step),
    });

    expect(counts).toEqual(["1", "2", "1", "2"]);
    // This client may lose a message that comes together with the answer.
    expect(progress).toContainEqual({ progress: 1, total: 2 });
  });

  test("a backend that asks the user is answered while another call goes on", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    await using connected = await connectOverSse(gateway);
    const params = { message: "Which?", requestedSchema: { type: "object", properties: {} } };

    const hanging = connected.callText("hang").catch(() => "cut");
    const asked = await connected.callText("ask", { method: "elicitation/create", params });
    await connected.client.close();

    expect(JSON.parse(asked)).toMatchObject({ result: ACCEPT });
    expect(await hanging).toBe("cut");
    await expect.poll(() => backend.openSessions).toBe(0);
  });

  test("a list that changes is announced and read anew", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    await using connected = await connectOverSse(gateway);
    await connected.client.listTools();
    backend.change({ tools: ['{"name":"grown","inputSchema":{"type":"object"}}'] });

    await expect
      .poll(() => {
        backend.notify("notifications/tools/list_changed");
        return connected.notifications;
      })
      .toContain("notifications/tools/list_changed");

    const { tools } = await connected.client.listTools();
    expect(tools.map(({ name }) => name)).toContain("grown");
  });

  test("two clients have sessions of their own, which end with their streams", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const alice = await connectOverSse(gateway);
    await using bob = await connectOverSse(gateway);

    const counts = [
      await alice.callText("count"),
      await alice.callText("count"),
      await bob.callText("count"),
    ];
    await alice.client.close();
    await expect.poll(() => gateway.vmcp.sessions.sessionCount).toBe(1);

    expect(counts).toEqual(["1", "2", "1"]);
    expect(await bob.callText("count")).toBe("2");
  });

  test("beside it, clients of the newer transport are served as ever", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    await using connected = await connectOverSse(gateway);

    const answer = await sendRaw(gateway.url, {
      method: "POST",
      headers: JSON_TYPE,
      body: INITIALIZE,
    });

    expect(answer.status).toBe(200);
    expect(answer.headers["mcp-session-id"]).toBeDefined();
    expect(await connected.callText("count")).toBe("1");
  });
});

describe("by hand", () => {
  // [spec:transport-49] [spec:transport-50]
  test("the first event names an address of the stream's own, and answers come as message events", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);
    const other = await openStream(gateway);

    const posted = await stream.post(INITIALIZE);
    await stream.answer(0);

    expect(stream.raw.headers["content-type"]).toBe("text/event-stream");
    expect(stream.raw.text).toMatch(
      /^event: endpoint\ndata: \/messages\?sessionId=[0-9a-f-]{36}\n\n/,
    );
    expect(stream.raw.text).toContain("\n\nevent: message\ndata: {");
    expect(posted).toMatchObject({ status: 202, text: "" });
    expect(stream.address).not.toBe(other.address);
    expect(other.raw.events).toHaveLength(1);
  });

  test.for<[string, string, number, number]>([
    ["no JSON", "hello", 400, -32_700],
    ["no message", "{}", 400, -32_600],
    ["a batch", `[${request(1, "ping")}]`, 400, -32_600],
    ["more than the limit", request(1, "ping", { pad: "x".repeat(70_000) }), 413, -32_600],
  ])(
    "%s is refused in the answer to the POST, and the stream lives",
    async ([, body, status, code]) => {
      await using backend = await startHttpLedger();
      await using gateway = await startOldGateway(backend);
      const stream = await openStream(gateway);

      const refused = await stream.post(body);
      await stream.post(INITIALIZE);

      expect(refused.status).toBe(status);
      expect(JSON.parse(refused.text)).toMatchObject({ error: { code } });
      expect(await stream.answer(0)).toHaveProperty("result");
    },
  );

  test.for<[string, string, number]>([
    ["a request before initialize", request(5, "tools/list"), -32_600],
    ["an initialize without a revision", request(5, "initialize"), -32_602],
  ])("%s is answered with an error on the stream", async ([, body, code]) => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);

    const posted = await stream.post(body);

    expect(posted.status).toBe(202);
    expect(await stream.answer(5)).toMatchObject({ error: { code } });
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  });

  test("what is posted while the session is being made waits for it", async () => {
    await using backend = await startHttpLedger({ initDelayMs: 200 });
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);

    await stream.post(INITIALIZE);
    await stream.post(call(1, "count"));

    expect(await stream.answer(1)).toHaveProperty("result");
    expect(idsOn(stream)).toEqual([0, 1]);
  });

  test("the limit of sessions holds, and says so on the stream", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const streams = await Promise.all(Array.from({ length: 5 }, async () => openStream(gateway)));

    const answers: unknown[] = [];
    for (const stream of streams) {
      // One after the other, so that it is the last one that finds no room.
      // oxlint-disable-next-line no-await-in-loop
      await stream.post(INITIALIZE);
      // oxlint-disable-next-line no-await-in-loop
      answers.push(await stream.answer(0));
    }

    expect(answers.slice(0, 4)).toEqual(
      Array.from({ length: 4 }, () => expect.objectContaining({ result: expect.anything() })),
    );
    expect(answers[4]).toMatchObject({ error: { code: 503 } });
  });

  test.for<[string, string, number]>([
    ["a POST without the id of a stream", "/messages", 400],
    ["a POST with an id that nobody has", "/messages?sessionId=0", 404],
  ])("%s is refused", async ([, path, status]) => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);

    const answer = await postTo(gateway, path, INITIALIZE);

    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { message: expect.stringContaining("/sse") },
    });
  });

  test.for<[string, string, string, Record<string, string>, number]>([
    ["a foreign Host", "GET", "/sse", { host: "evil.example" }, 403],
    ["a foreign Origin", "GET", "/sse", { origin: "https://evil.example" }, 403],
    ["a foreign Host", "POST", "/messages", { host: "evil.example" }, 403],
    ["a foreign Origin", "POST", "/messages", { origin: "https://evil.example" }, 403],
    ["an Accept without events", "GET", "/sse", { accept: "application/json" }, 406],
    ["a body that is no JSON", "POST", "/messages", { "content-type": "text/plain" }, 415],
    ["another method", "POST", "/sse", {}, 405],
    ["another method", "GET", "/messages", {}, 405],
  ])("%s is refused (%s %s)", async ([, method, path, headers, status]) => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);

    const answer = await sendRaw(new URL(path, gateway.url).href, {
      method,
      headers: { ...EVENTS, ...JSON_TYPE, ...headers },
      ...(method === "POST" && { body: "{}" }),
    });

    expect(answer.status).toBe(status);
  });

  test("every event of a call comes before its answer", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);
    await stream.post(INITIALIZE);
    await stream.answer(0);

    await stream.post(
      request(1, "tools/call", {
        name: "slow",
        arguments: { ms: 40, steps: 3 },
        _meta: { progressToken: "p" },
      }),
    );
    await stream.answer(1);

    expect(messagesOn(stream.raw).slice(1)).toMatchObject([
      { method: "notifications/progress", params: { progressToken: "p", progress: 1 } },
      { method: "notifications/progress", params: { progressToken: "p", progress: 2 } },
      { method: "notifications/progress", params: { progressToken: "p", progress: 3 } },
      { id: 1 },
    ]);
  });

  test("a client that goes away during a call ends the call and the session", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);
    await stream.post(INITIALIZE);
    await stream.answer(0);
    await stream.post(call(1, "hang"));
    await expect.poll(() => backend.ledger.calls).toHaveLength(1);

    stream.raw.destroy();

    await expect.poll(() => gateway.vmcp.sessions.sessionCount).toBe(0);
    expect(backend.openSessions).toBe(0);
    expect((await stream.post(request(2, "ping"))).status).toBe(404);
  });

  test("a client that goes away while its session is being made leaves none", async () => {
    await using backend = await startHttpLedger({ initialize: "hang" });
    await using gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);
    await stream.post(INITIALIZE);
    await expect.poll(() => gateway.vmcp.sessions.sessionCount).toBe(1);

    stream.raw.destroy();

    await expect.poll(() => gateway.vmcp.sessions.sessionCount).toBe(0);
  });

  test("a session that the gateway ends closes its stream", async () => {
    await using backend = await startHttpLedger();
    const gateway = await startOldGateway(backend);
    const stream = await openStream(gateway);
    await stream.post(INITIALIZE);
    await stream.answer(0);
    await stream.post(call(1, "slow", { ms: 300 }));
    await expect.poll(() => backend.ledger.calls).toHaveLength(1);

    await gateway[Symbol.asyncDispose]();
    await stream.raw.ended;

    expect(await stream.answer(1)).toHaveProperty("result");
  });
});

test("without server.legacySse there is neither path", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });

  const opened = await sendRaw(new URL("/sse", gateway.url).href, { headers: EVENTS });
  const posted = await postTo(gateway, "/messages?sessionId=0", INITIALIZE);

  expect([opened.status, posted.status]).toEqual([404, 404]);
  expect([opened.text, posted.text]).toEqual(["", ""]);
});

const EVENTS = { accept: "text/event-stream" };
const JSON_TYPE = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

const INITIALIZE = request(0, "initialize", {
  protocolVersion: "2024-11-05",
  capabilities: {},
  clientInfo: { name: "raw", version: "1.0.0" },
});

function request(id: number, method: string, params?: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, ...(params && { params }) });
}

function call(id: number, name: string, args: object = {}): string {
  return request(id, "tools/call", { name, arguments: args });
}

interface Answer {
  readonly id?: unknown;
}

interface OldStream {
  readonly raw: RawAnswer;
  readonly address: string;
  post(body: string): Promise<RawAnswer>;
  /** Waits for the message with that id. */
  answer(id: number): Promise<Answer>;
}

async function openStream(gateway: Gateway): Promise<OldStream> {
  const raw = await startRaw(new URL("/sse", gateway.url).href, { headers: EVENTS });
  await expect.poll(() => raw.events).not.toHaveLength(0);
  const address = raw.events[0] ?? "";
  return {
    raw,
    address,
    post: async (body) => postTo(gateway, address, body),
    answer: async (id) => {
      const find = (): Answer | undefined => messagesOn(raw).find((message) => message.id === id);
      await expect.poll(find).toBeDefined();
      return find() ?? {};
    },
  };
}

function messagesOn(raw: RawAnswer): readonly Answer[] {
  return raw.events.slice(1).map((data): Answer => JSON.parse(data));
}

function idsOn({ raw }: OldStream): readonly unknown[] {
  return messagesOn(raw).map(({ id }) => id);
}

async function postTo(gateway: Gateway, path: string, body: string): Promise<RawAnswer> {
  return sendRaw(new URL(path, gateway.url).href, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
}
