import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import type { EdgeSession } from "../../src/session/edge-session.ts";
import type { MultiSessionFactory } from "../../src/session/session.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import { EDGES } from "../support/edges.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import type { Ledger } from "../support/ledger.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  lastMessage,
  openRawSession,
  postMessage,
  startRaw,
  type RawAnswer,
} from "../support/raw-client.ts";
import { createFactory } from "../support/sessions.ts";

const ECHO = JSON.stringify({
  name: "echo",
  description: "Echoes the input",
  inputSchema: { type: "object", properties: { text: { type: "string" } } },
});

const WHOLE_RESULT: JsonObject = {
  content: [
    { type: "text", text: "t", _meta: { a: 1 }, annotations: { audience: ["user"] } },
    { type: "hologram", data: { x: 1.5 } },
    { type: "resource_link", uri: "x://y", name: "y" },
  ],
  structuredContent: [1, { two: 2 }],
  _meta: { vendor: true },
  vendorField: { nested: [null] },
};

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "raw-client", version: "1" },
  },
} as const;

describe.each(EDGES)("behind the %s", (_edge, edge) => {
  describe.each(CLIENTS)("with the client of %s", (_client, connect) => {
    test("calls of a session keep the backend's state [A1]", async () => {
      await using http = await startHttpLedger();
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      await using client = await connect(gateway.url);

      const counts = [await client.callText("count"), await client.callText("count")];

      expect(counts).toEqual(["1", "2"]);
      expect(http.openSessions).toBe(1);
    });

    test("two clients are kept apart [A2]", async () => {
      await using http = await startHttpLedger();
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      await using alice = await connect(gateway.url);
      await using bob = await connect(gateway.url);

      const counts: string[] = [];
      for (const client of [alice, bob, alice]) counts.push(await client.callText("count"));
      const tags = [await alice.callText("whoami"), await bob.callText("whoami")];

      expect(counts).toEqual(["1", "1", "2"]);
      expect(new Set(tags).size).toBe(2);
      expect(alice.sessionId).not.toBe(bob.sessionId);
    });

    test("tools/list shows exactly the backend's tools, with their descriptions [seed 44]", async () => {
      await using http = await startHttpLedger({ hasBuiltInTools: false, tools: [ECHO] });
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      await using client = await connect(gateway.url);

      const tools = await client.listTools();

      expect(tools).toEqual([JSON.parse(ECHO)]);
    });

    test("a tool of a real backend answers [seed 45]", async () => {
      await using http = await startHttpLedger();
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      await using client = await connect(gateway.url);

      const text = await client.callText("echo", { text: "hello from V2" });

      expect(text).toBe("hello from V2");
    });

    test("a backend asks the client within a call and gets its answer", async () => {
      await using http = await startHttpLedger();
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      const model = { role: "assistant", content: { type: "text", text: "four" }, model: "m" };
      await using client = await connect(gateway.url, { onSampling: () => model });

      const answer = await client.callText("ask", {
        method: "sampling/createMessage",
        params: { messages: [], maxTokens: 5 },
      });

      expect(JSON.parse(answer)).toMatchObject({ result: model });
    });

    test("a client that ends its session ends the backend's [seed 42]", async () => {
      await using http = await startHttpLedger();
      await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
      const client = await connect(gateway.url);
      await client.call("count");

      await client.close();

      await waitFor(() => http.openSessions === 0);
      expect(gateway.vmcp.sessions.sessionCount).toBe(0);
    });
  });

  test("initialize makes the session under the id of the header, once, by the given factory [seed 41]", async () => {
    await using http = await startHttpLedger();
    const { sessionFactory, made } = recordingFactory();
    await using gateway = await edge.start(
      { backends: [{ name: "b", url: http.url }] },
      { sessionFactory },
    );

    const session = await openRawSession(gateway.url);
    await session.request("tools/call", { name: "nonce", arguments: { nonce: "n1" } });

    expect(session.initializeAnswer.status).toBe(200);
    expect(made).toEqual([session.id]);
    expect(gateway.vmcp.sessions.getMultiSession(session.id)?.id).toBe(session.id);
    expect(http.ledger.calls.map(({ nonce }) => nonce)).toEqual(["n1"]);
  });

  test("with the flag off the given factory is never called [seed 43]", async () => {
    await using http = await startHttpLedger();
    const { sessionFactory, made } = recordingFactory();
    await using gateway = await edge.start(
      {
        backends: [{ name: "b", url: http.url }],
        operational: { sessionManagementV2: false },
      },
      { sessionFactory },
    );

    const session = await openRawSession(gateway.url);
    const answer = await session.request("tools/call", { name: "count" });

    expect(answer).toMatchObject({ result: { content: [{ text: "1" }] } });
    expect(made).toEqual([]);
  });

  test("a call that follows initialize at once finds its session", async () => {
    await using http = await startHttpLedger({ initDelayMs: 50 });
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const initialized = await postMessage(gateway.url, INITIALIZE);

    const answer = await postMessage(
      gateway.url,
      { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "count" } },
      { "mcp-session-id": String(initialized.headers["mcp-session-id"]) },
    );

    expect(lastMessage(answer)).toMatchObject({ id: 1, result: { content: [{ text: "1" }] } });
  });

  test("DELETE answers 200 with every backend session closed, and calls after it 404 [seed 42] [seed 46]", async () => {
    await using http = await startHttpLedger();
    const { sessionFactory, closed } = recordingFactory();
    await using gateway = await edge.start(
      { backends: [{ name: "b", url: http.url }] },
      { sessionFactory },
    );
    const session = await openRawSession(gateway.url);
    await session.request("tools/call", { name: "count" });

    const first = await session.delete();
    const openAfterDelete = http.openSessions;
    const second = await session.delete();
    const call = await session.post({ jsonrpc: "2.0", id: "x", method: "tools/call" });

    expect(first.status).toBe(200);
    expect(openAfterDelete).toBe(0);
    expect(closed).toEqual([session.id]);
    expect(second.status).toBe(404);
    expect(call.status).toBe(404);
    expect(JSON.parse(call.text)).toMatchObject({ id: "x", error: { code: -32_001 } });
  });

  test.for([
    ["an id that was never given out", { "mcp-session-id": "no-such-session" }, 404, -32_001],
    ["no session id", {}, 400, -32_600],
  ] as const)("%s is refused for every method", async ([, headers, status, code]) => {
    await using gateway = await edge.start({ backends: [{ name: "b", url: UNUSED_URL }] });
    const call = { jsonrpc: "2.0", id: 5, method: "tools/list" } as const;

    const post = await postMessage(gateway.url, call, headers);
    const get = await startRaw(gateway.url, {
      headers: { ...headers, accept: "text/event-stream" },
    });
    const end = await startRaw(gateway.url, { method: "DELETE", headers: { ...headers } });

    expect(JSON.parse(post.text)).toMatchObject({ id: 5, error: { code } });
    expect([post.status, get.status, end.status]).toEqual([status, status, status]);
  });

  test("a web page of another site is refused", async () => {
    await using gateway = await edge.start({ backends: [{ name: "b", url: UNUSED_URL }] });

    const foreign = await postMessage(gateway.url, INITIALIZE, { origin: "https://evil.example" });
    const rebound = await postMessage(gateway.url, INITIALIZE, { host: "evil.example" });

    expect([foreign.status, rebound.status]).toEqual([403, 403]);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  });

  test("an initialize that is refused leaves no session", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });

    const refused = await Promise.all([
      postMessage(gateway.url, { ...INITIALIZE, params: { capabilities: {} } }),
      postMessage(gateway.url, INITIALIZE, { accept: "application/json" }),
      postMessage(gateway.url, INITIALIZE, { "content-type": "text/plain" }),
    ]);

    expect(refused.every(({ headers }) => headers["mcp-session-id"] === undefined)).toBe(true);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
    expect(clientInitializes(http.ledger)).toBe(0);
  });

  test("a result keeps what no schema knows [A14]", async () => {
    await using http = await startHttpLedger({
      tools: [JSON.stringify({ name: "odd", inputSchema: { type: "object" } })],
      results: new Map([["odd", JSON.stringify(WHOLE_RESULT)]]),
    });
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);

    const answer = await session.request("tools/call", { name: "odd" });

    expect(answer).toEqual({ jsonrpc: "2.0", id: 1, result: WHOLE_RESULT });
  });

  test("arguments arrive byte for byte [B8]", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const args = '{"__proto__":{"x":1},"big":9007199254740993,"exp":1e400,"z":1,"a":2}';

    const answer = await session.post(
      `{"params":{"arguments":${args},"name":"raw"},"method":"tools/call","jsonrpc":"2.0","id":1}`,
    );

    expect(lastMessage(answer)).toMatchObject({ result: { content: [{ text: args }] } });
  });

  test("resources, templates, prompts, completions and the log level reach the backend", async () => {
    await using http = await startHttpLedger({
      resources: ['{"uri":"m://one","name":"one"}'],
      resourceTemplates: ['{"uriTemplate":"t://{id}","name":"t"}'],
      prompts: ['{"name":"p"}'],
      promptResults: new Map([["p", '{"messages":[]}']]),
    });
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const ref = { type: "ref/prompt", name: "p" };

    const answers = [
      await session.request("resources/list"),
      await session.request("resources/read", { uri: "m://one" }),
      await session.request("resources/subscribe", { uri: "m://one" }),
      await session.request("resources/templates/list"),
      await session.request("resources/read", { uri: "t://7" }),
      await session.request("prompts/list"),
      await session.request("prompts/get", { name: "p" }),
      await session.request("completion/complete", { ref, argument: { name: "a", value: "" } }),
      await session.request("logging/setLevel", { level: "error" }),
      await session.request("ping"),
    ];

    expect(answers).toMatchObject([
      { result: { resources: [{ uri: "m://one" }] } },
      { result: { contents: [{ uri: "m://one" }] } },
      { result: {} },
      { result: { resourceTemplates: [{ uriTemplate: "t://{id}" }] } },
      { result: { contents: [{ uri: "t://7" }] } },
      { result: { prompts: [{ name: "p" }] } },
      { result: { messages: [] } },
      { result: { completion: { values: ["alpha", "beta"] } } },
      { result: {} },
      { result: {} },
    ]);
    await waitFor(() => http.ledger.messages.some(({ method }) => method === "logging/setLevel"));
  });

  test("what is refused is a JSON-RPC error with its code", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);

    const answers = [
      await session.request("tools/call", { name: "no_such_tool" }),
      await session.request("no/such/method"),
      await session.request("tools/list", { cursor: "made-up" }),
    ];

    expect(answers).toMatchObject([
      { error: { code: -32_602, message: expect.stringContaining("no_such_tool") } },
      { error: { code: -32_601 } },
      { error: { code: -32_602 } },
    ]);
  });

  test("progress comes before the answer, on the call's own stream", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);

    const answer = await session.post({
      jsonrpc: "2.0",
      id: 9,
      method: "tools/call",
      params: {
        name: "slow",
        arguments: { ms: 20, steps: 2 },
        _meta: { progressToken: "token-1" },
      },
    });

    expect(answer.events.map((data) => JSON.parse(data))).toMatchObject([
      progress(1),
      progress(2),
      { id: 9, result: { content: [{ text: "waited 20 ms" }] } },
    ]);
  });

  test("a list that changes is told on the GET stream, and the new list is there", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await waitFor(() => http.openStreams === 1);

    http.change({ tools: [JSON.stringify({ name: "added", inputSchema: { type: "object" } })] });
    http.notify("notifications/tools/list_changed");

    await waitFor(() => methodsOf(stream).includes("notifications/tools/list_changed"));
    expect(JSON.stringify(await session.request("tools/list"))).toContain('"added"');
    stream.destroy();
  });

  test("a backend asks the client on the GET stream and gets its answer", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    const stream = await session.openStream();
    await waitFor(() => http.openStreams === 1);
    const [backendSession] = http.sessions;
    if (backendSession === undefined) throw new Error("no backend session");

    const asked = http.request(backendSession, "roots/list", {});
    await waitFor(() => stream.events.length === 1);
    const request = JSON.parse(stream.events[0] ?? "");
    await session.post({ jsonrpc: "2.0", id: request.id, result: { roots: [] } });

    expect(request).toMatchObject({ method: "roots/list" });
    expect(JSON.parse(await asked)).toMatchObject({ result: { roots: [] } });
    stream.destroy();
  });

  test("a second GET stream is refused, and one that was closed makes room for the next", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const first = await session.openStream();

    const second = await session.openStream();
    first.destroy();
    const third = await waitFor(async () => {
      const stream = await session.openStream();
      return stream.status === 200 && stream;
    });

    expect([first.status, second.status, third.status]).toEqual([200, 409, 200]);
    third.destroy();
  });

  test("notifications/cancelled reaches the backend with its reason and ends the reply without an answer", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const params = { name: "hang" };
    const call = session.startPost({ jsonrpc: "2.0", id: 77, method: "tools/call", params });
    await waitFor(() => http.ledger.calls.length === 1);

    const cancelled = await session.post({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 77, reason: "enough" },
    });

    expect(cancelled.status).toBe(202);
    await waitFor(() => http.ledger.cancellations.length === 1);
    expect(http.ledger.cancellations).toMatchObject([{ reason: "enough", wasInFlight: true }]);
    const reply = await call;
    await reply.ended;
    expect(reply.events).toEqual([]);
    expect(await session.request("tools/call", { name: "count" })).toMatchObject({ result: {} });
  });

  test("an id that is in flight is refused, and its first call still answers", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const slow = {
      jsonrpc: "2.0",
      id: 3,
      method: "tools/call",
      params: { name: "slow", arguments: { ms: 300 } },
    } as const;
    const first = session.post(slow);
    await waitFor(() => http.ledger.calls.length === 1);

    const second = await session.post(slow);

    expect(JSON.parse(second.text)).toMatchObject({ id: 3, error: { code: -32_600 } });
    expect(lastMessage(await first)).toMatchObject({
      result: { content: [{ text: "waited 300 ms" }] },
    });
  });

  test("a session that ends by itself ends its client's stream", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();

    await gateway.vmcp.sessions.terminate(session.id);

    await stream.ended;
    expect(http.openSessions).toBe(0);
  });

  test("a client that vanishes with a call in flight leaves nothing behind", async () => {
    await using http = await startHttpLedger();
    await using gateway = await edge.start({
      backends: [{ name: "b", url: http.url }],
      operational: { sessionManagementV2: true, sessions: { idleTtl: "400ms" } },
    });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    // An answer that has not begun can be delivered nowhere else; one that has could be resumed.
    const leaving = new AbortController();
    const call = fetch(gateway.url, {
      method: "POST",
      signal: leaving.signal,
      headers: {
        ...session.headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "slow", arguments: { ms: 60_000 } },
      }),
    });
    await waitFor(() => http.ledger.calls.length === 1);

    stream.destroy();
    leaving.abort();
    await Promise.allSettled([call]);

    await waitFor(() => http.ledger.cancellations.length === 1, { timeoutMs: 15_000 });
    await waitFor(() => gateway.vmcp.sessions.sessionCount === 0 && http.openSessions === 0);
    await expect.poll(() => http.openStreams).toBe(0);
  }, 40_000);

  test("a client that leaves while its session starts is not served, and nothing stays open [A18]", async () => {
    await using http = await startHttpLedger({ initialize: "hang" });
    await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
    const leaving = new AbortController();
    const initialize = fetch(gateway.url, {
      method: "POST",
      signal: leaving.signal,
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify(INITIALIZE),
    });
    await waitFor(() => gateway.vmcp.sessions.sessionCount === 1);

    leaving.abort();

    await expect(initialize).rejects.toThrow("aborted");
    await waitFor(() => gateway.vmcp.sessions.sessionCount === 0);
  });

  test("closing the edge with calls in flight closes every backend session and stream", async () => {
    await using http = await startHttpLedger();
    const gateway = await edge.start({
      backends: [{ name: "b", url: http.url }],
      operational: { sessionManagementV2: true, sessions: { drainDeadline: "50ms" } },
    });
    const session = await openRawSession(gateway.url);
    await session.openStream();
    const params = { name: "hang" };
    const call = session.post({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    await waitFor(() => http.ledger.calls.length === 1);

    await gateway[Symbol.asyncDispose]();

    expect(lastMessage(await call)).toMatchObject({
      id: 1,
      error: { data: { executionState: "unknown" } },
    });
    await waitFor(() => http.openSessions === 0 && http.sockets === 0);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  });
});

interface Limit {
  readonly promise: string;
  /** Why the SDK's server cannot keep it. */
  readonly reason: string;
  /** Whether the edge at this URL keeps it. */
  holds(url: string): Promise<boolean>;
}

const BIG = '{"content":[],"structuredContent":{"n":12345678901234567890,"x":1.50}}';
const ARRAY_SCHEMA = '{"type":"array","items":{}}';

const LIMITED_BACKEND = {
  tools: [
    JSON.stringify({ name: "big", inputSchema: { type: "object" } }),
    `{"name":"list","inputSchema":{"type":"object"},"outputSchema":${ARRAY_SCHEMA}}`,
  ],
  results: new Map([["big", BIG]]),
} as const;

const SDK_LIMITS: readonly Limit[] = [
  {
    promise: "numbers of a result keep their digits",
    reason: "the SDK's transport writes answers from JavaScript values, whose numbers are doubles",
    async holds(url) {
      const session = await openRawSession(url);
      const params = { name: "big" };
      const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      return answer.text.includes(BIG);
    },
  },
  {
    promise: "a request's id may be beyond 2^53",
    reason: "the SDK's schemas take safe integers only and refuse the message",
    async holds(url) {
      const session = await openRawSession(url);
      const id = "12345678901234567890";
      const answer = await session.post(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);
      return answer.text.includes(`"id":${id}`);
    },
  },
  {
    promise: "an output schema that is no object is listed as the backend sent it",
    reason: "the SDK wraps such schemas for clients of the sessionful revisions",
    async holds(url) {
      const session = await openRawSession(url);
      const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "tools/list" });
      return answer.text.includes(`"outputSchema":${ARRAY_SCHEMA}`);
    },
  },
  {
    promise: "a lone answer is plain JSON",
    reason: "the SDK's transport knows before the call whether it answers with JSON or a stream",
    async holds(url) {
      const session = await openRawSession(url);
      const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "ping" });
      return answer.headers["content-type"] === "application/json";
    },
  },
  {
    promise: "a client may open a session without naming itself",
    reason: "the SDK's schemas demand clientInfo with a name and a version",
    async holds(url) {
      const params = { protocolVersion: "2025-11-25", capabilities: {} };
      const answer = await postMessage(url, { ...INITIALIZE, params });
      return answer.headers["mcp-session-id"] !== undefined;
    },
  },
];

describe("what the SDK's server cannot do", () => {
  test.for(SDK_LIMITS.map((limit) => [limit.promise, limit.reason, limit] as const))(
    "only behind the own edge %s: %s",
    async ([, , limit]) => {
      await using http = await startHttpLedger(LIMITED_BACKEND);

      const outcomes: boolean[] = [];
      for (const [, edge] of EDGES) {
        await using gateway = await edge.start({ backends: [{ name: "b", url: http.url }] });
        outcomes.push(await limit.holds(gateway.url));
      }

      // Once the SDK's server keeps it too, the row belongs into the suite above.
      expect(outcomes).toEqual([true, false]);
    },
  );
});

/** Nothing listens there; the gateway is not asked to connect. */
const UNUSED_URL = "http://127.0.0.1:9/mcp";

/** Initializes that came from clients, as opposed to the gateway's own probes. */
function clientInitializes({ initializes }: Ledger): number {
  return initializes.filter(({ text }) => !text.includes("vmcp-probe")).length;
}

function progress(step: number): object {
  return {
    method: "notifications/progress",
    params: { progressToken: "token-1", progress: step, total: 2 },
  };
}

function methodsOf(stream: RawAnswer): readonly string[] {
  return stream.events.map((data) => JSON.parse(data).method);
}

/** The gateway's own kind of factory, which notes what it makes and what is closed. */
function recordingFactory(): {
  readonly sessionFactory: MultiSessionFactory<EdgeSession>;
  readonly made: readonly string[];
  readonly closed: readonly string[];
} {
  const factory = createFactory();
  const made: string[] = [];
  const closed: string[] = [];
  return {
    made,
    closed,
    sessionFactory: {
      makeSession: async (...args) => factory.makeSession(...args),
      async makeSessionWithId(id, ...args) {
        made.push(id);
        const session = await factory.makeSessionWithId(id, ...args);
        const close = session[Symbol.asyncDispose].bind(session);
        session[Symbol.asyncDispose] = async () => {
          closed.push(id);
          await close();
        };
        return session;
      },
    },
  };
}
