import { describe, expect, test } from "vitest";
import { capabilitySet, fakeBackend, message } from "../../test/support/fake-backends.ts";
import {
  CLIENT,
  createFactory,
  createLiveSession,
  inboundRequest,
  openSession,
  PLAIN_NAMES,
} from "../../test/support/sessions.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundNotification,
} from "../mcp/inbound-message.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { LiveSession } from "./live-session.ts";
import { Views } from "./view.ts";

const never = async (): Promise<never> => new Promise(() => {});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function notification(method: string, params: JsonObject = {}): InboundNotification {
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: "2.0", method, params }));
  const parsed = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);
  if (parsed.kind !== "notification") throw new Error("not a notification");
  return parsed;
}

/** A sink that notes what it hears. */
function recordingSink(): AnswerSink & { readonly heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    event: ({ bytes }) => heard.push(`event ${bytes.toString()}`) > 0,
    answer: ({ bytes }) => void heard.push(`answer ${bytes.toString()}`),
    fail: ({ code }) => void heard.push(`fail ${code}`),
  };
}

function listen(session: LiveSession): string[] {
  const messages: string[] = [];
  session.notify(notification("notifications/initialized"));
  session.attachStream({
    send: (bytes) => messages.push(bytes.toString()) > 0,
    end: () => void messages.push("end"),
  });
  return messages;
}

describe("calling", () => {
  test("accessors return what the session was made of [seed 59]", async () => {
    const identity: Identity = { kind: "verified", issuer: "i", subject: "s" };
    const before = Date.now();

    await using session = await openSession([fakeBackend("b1", { tools: ["x"] })], { identity });

    expect(session.identity).toBe(identity);
    expect(session.createdAtMs).toBeGreaterThanOrEqual(before);
    expect(session.client).toBe(CLIENT);
    expect(session.tools[0]).toMatchObject({
      name: "x",
      description: "The tool x",
      inputSchema: { type: "object" },
    });
    expect(session.tools).not.toBe(session.tools);
  });

  test("a tool call reaches its backend and its result comes back [seed 60]", async () => {
    const backend = fakeBackend("b1", {
      tools: ["echo"],
      answer: async ({ bytes }) => ({ content: [{ type: "text", text: bytes.toString() }] }),
    });
    await using session = await openSession([backend]);

    const result = await session.callTool("echo", { text: "hi" }, { meta: { progressToken: "t" } });

    expect(JSON.parse((result.content[0] as { text: string }).text)).toMatchObject({
      method: "tools/call",
      params: { name: "echo", arguments: { text: "hi" }, _meta: { progressToken: "t" } },
    });
    expect(result.isError).toBe(false);
  });

  test("a resource is read from its backend [seed 61]", async () => {
    const backend = fakeBackend("b1", {
      resources: ["file:///a"],
      answer: async () => ({ contents: [{ uri: "file:///a", text: "hello" }] }),
    });
    await using session = await openSession([backend]);

    const { contents } = await session.readResource("file:///a");

    expect(contents).toMatchObject([{ uri: "file:///a", text: "hello" }]);
  });

  test("a prompt is got from its backend [seed 62]", async () => {
    const backend = fakeBackend("b1", {
      prompts: ["p"],
      answer: async () => ({
        description: "d",
        messages: [{ role: "user", content: { type: "text", text: "hello" } }],
      }),
    });
    await using session = await openSession([backend]);

    const prompt = await session.getPrompt("p", { a: "b" });

    expect(prompt).toMatchObject({ description: "d", messages: [{ role: "user" }] });
  });

  const UNROUTED: readonly [string, string, (session: LiveSession) => Promise<unknown>][] = [
    ["60", "tool", async (session) => session.callTool("none", {})],
    ["61", "resource", async (session) => session.readResource("none://x")],
    ["62", "prompt", async (session) => session.getPrompt("none", {})],
  ];

  test.for(UNROUTED)(
    "[row %s] an unknown %s is not found [seed 60] [seed 61] [seed 62]",
    async ([, kind, call]) => {
      const backends = [
        fakeBackend("b1", { tools: ["x"], resources: ["a://1"] }),
        fakeBackend("b2", { resources: ["b://1"] }),
      ];
      await using session = await openSession(backends);

      await expect(call(session)).rejects.toMatchObject({
        code: "capability_not_found",
        message: expect.stringContaining(`Unknown ${kind}: none`),
      });
    },
  );

  test("a failure of the backend passes through [seed 60] [seed 61] [seed 62]", async () => {
    const backend = fakeBackend("b1", {
      tools: ["t"],
      prompts: ["p"],
      resources: ["r://1"],
      answer: never,
    });
    await using session = await openSession([backend]);
    const failure = new VmcpError("backend_closed", 'Backend "b1" ended', {
      backend: "b1",
      executionState: "unknown",
    });

    const calls = [
      session.callTool("t", {}),
      session.readResource("r://1"),
      session.getPrompt("p", {}),
    ];
    for (const sink of backend.connections[0]?.sinks.values() ?? []) sink.fail(failure);

    for (const call of calls) await expect(call).rejects.toBe(failure);
  });

  test("a JSON-RPC error of the backend rejects with its message", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend]);

    const call = session.callTool("t", {});
    for (const [id, sink] of backend.connections[0]?.sinks ?? []) {
      sink.answer(
        message({ jsonrpc: "2.0", id, error: { code: -32_000, message: "no such row" } }),
      );
    }

    await expect(call).rejects.toMatchObject({ code: "backend_error", message: "no such row" });
  });

  test("an aborted call cancels at the backend", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend]);
    const abort = new AbortController();

    const call = session.callTool("t", {}, { signal: abort.signal });
    abort.abort();

    await expect(call).rejects.toMatchObject({ code: "cancelled" });
    expect(backend.connections[0]?.cancelled).toHaveLength(1);
  });

  test("only the name's bytes change when a tool was renamed", async () => {
    const backends = [
      fakeBackend("b1", { tools: ["same"] }),
      fakeBackend("b2", { tools: ["same"] }),
    ];
    await using session = await openSession(backends);
    const bytes = Buffer.from(
      '{ "jsonrpc":"2.0", "params":{"arguments":{"n":12345678901234567890,"__proto__":1},"name" : "b2_same"},"id":1,"method":"tools/call"}',
    );
    const request = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);
    if (request.kind !== "request") throw new Error("not a request");

    session.forward(request, recordingSink());

    expect(backends[1]?.connections[0]?.received[0]?.bytes.toString()).toBe(
      bytes.toString().replace("b2_same", "same"),
    );
  });
});

describe("what is refused before anything is sent", () => {
  test("an id that is already in flight", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend]);
    session.forward(inboundRequest(1, "tools/call", { name: "t" }), recordingSink());

    const repeat = () =>
      session.forward(inboundRequest(1, "tools/call", { name: "t" }), recordingSink());

    expect(repeat).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(backend.connections[0]?.received).toHaveLength(1);
  });

  test("one call more than a session may have in flight", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend], { maxCallsInFlight: 2 });
    for (const id of [1, 2]) {
      session.forward(inboundRequest(id, "tools/call", { name: "t" }), recordingSink());
    }

    const third = () =>
      session.forward(inboundRequest(3, "tools/call", { name: "t" }), recordingSink());

    expect(third).toThrow(expect.objectContaining({ code: "overloaded", retryAfterSeconds: 1 }));
  });

  test("one call more than a backend may have in flight, over all sessions", async () => {
    const factory = createFactory({
      callLimits: { callsPerProcess: 10, callsPerBackend: () => 1 },
      drainDeadlineMs: 1,
    });
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using first = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });
    await using second = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });
    first.forward(inboundRequest(1, "tools/call", { name: "t" }), recordingSink());

    const other = () =>
      second.forward(inboundRequest(1, "tools/call", { name: "t" }), recordingSink());

    expect(other).toThrow(
      expect.objectContaining({ code: "backend_busy", executionState: "not_executed" }),
    );
  });

  test("arguments that are no object", async () => {
    await using session = await openSession([fakeBackend("b1", { tools: ["t"] })]);

    const call = () =>
      session.forward(
        inboundRequest(1, "tools/call", { name: "t", arguments: [1] }),
        recordingSink(),
      );

    expect(call).toThrow(expect.objectContaining({ code: "invalid_params" }));
  });

  test("a route without a connection is an inconsistency of ours and says so [seed 68]", async () => {
    const ghost = {
      backend: parseBackendName("ghost"),
      capabilities: capabilitySet({ tools: ["t"] }),
    };
    await using session = createLiveSession({
      views: { of: () => new Views(PLAIN_NAMES).of([ghost]) },
    });

    await expect(session.callTool("t", {})).rejects.toMatchObject({
      code: "no_backend_connection",
      message: expect.stringContaining('"ghost"'),
    });
  });
});

describe("closing", () => {
  test("closing closes every connection [seed 63]", async () => {
    const backends = [fakeBackend("b1"), fakeBackend("b2")];
    const session = await openSession(backends);

    await session[Symbol.asyncDispose]();

    expect(backends.map(({ connections }) => connections[0]?.isClosed)).toEqual([true, true]);
  });

  test("closing twice closes once [seed 64]", async () => {
    let closes = 0;
    const session = await openSession([
      fakeBackend("b1", {
        onClose: async () => {
          closes += 1;
        },
      }),
    ]);

    await Promise.all([session[Symbol.asyncDispose](), session[Symbol.asyncDispose]()]);
    await session[Symbol.asyncDispose]();

    expect(closes).toBe(1);
  });

  test("closing waits for calls in flight [seed 65]", async () => {
    const answered = deferred();
    const backend = fakeBackend("b1", {
      tools: ["t"],
      answer: async () => {
        await answered.promise;
        return { content: [{ type: "text", text: "done" }] };
      },
    });
    const session = await openSession([backend]);
    const call = session.callTool("t", {});

    const closing = session[Symbol.asyncDispose]();
    expect(backend.connections[0]?.isClosed).toBe(false);
    answered.resolve();

    await expect(call).resolves.toMatchObject({ content: [{ text: "done" }] });
    await closing;
    expect(backend.connections[0]?.isClosed).toBe(true);
  });

  test("calls that outlast the drain deadline are ended and cancelled at the backend", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    const session = await openSession([backend], { drainDeadlineMs: 10 });
    const call = session.callTool("t", {});

    const closing = session[Symbol.asyncDispose]();

    await expect(call).rejects.toMatchObject({ code: "session_closed", executionState: "unknown" });
    await closing;
    expect(backend.connections[0]?.cancelled).toHaveLength(1);
    expect(backend.connections[0]?.isClosed).toBe(true);
  });

  test("closing reports everything that did not close [seed 66]", async () => {
    const refusing = (name: string) =>
      fakeBackend(name, {
        onClose: async () => {
          throw new Error(`${name} would not close`);
        },
      });
    const session = await openSession([refusing("b1"), refusing("b2")]);

    const closing = session[Symbol.asyncDispose]();

    await expect(closing).rejects.toThrow(/b1 would not close.*b2 would not close/);
  });

  test("after closing nothing can be called [seed 67]", async () => {
    const session = await openSession([
      fakeBackend("b1", { tools: ["t"], prompts: ["p"], resources: ["r://1"] }),
    ]);
    await session[Symbol.asyncDispose]();

    const calls = [
      session.callTool("t", {}),
      session.readResource("r://1"),
      session.getPrompt("p", {}),
    ];

    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "session_closed" });
  });

  test("one connection that refuses to close does not keep the others open [seed 69]", async () => {
    const refusing = fakeBackend("b1", {
      onClose: async () => {
        throw new Error("no");
      },
    });
    const other = fakeBackend("b2");
    const session = await openSession([refusing, other]);

    await session[Symbol.asyncDispose]().catch(() => {});

    expect(other.connections[0]?.isClosed).toBe(true);
  });

  test("closing ends the client's stream", async () => {
    const session = await openSession([fakeBackend("b1")]);
    const messages = listen(session);

    await session[Symbol.asyncDispose]();

    expect(messages).toEqual(["end"]);
  });
});

describe("a backend that loses its session", () => {
  const lost = new VmcpError("backend_session_lost", 'Backend "b1" forgot its session', {
    backend: "b1",
    executionState: "not_executed",
  });

  test("a call that did not run goes once to a new connection, and its result says so", async () => {
    const backend = fakeBackend("b1", {
      tools: ["t"],
      answer: async (_request, connection) => {
        if (connection.backendSessionId === "b1-1") return never();
        return { content: [{ type: "text", text: "again" }] };
      },
    });
    await using session = await openSession([backend]);

    const call = session.callTool("t", {});
    for (const sink of backend.connections[0]?.sinks.values() ?? []) sink.fail(lost);

    await expect(call).resolves.toMatchObject({
      content: [{ text: "again" }],
      meta: { backend_reinitialized: true },
    });
    expect(backend.connections).toHaveLength(2);
    expect(backend.connections[0]?.isClosed).toBe(true);
    await expect(session.callTool("t", {})).resolves.not.toHaveProperty("meta");
  });

  test("a hundred calls that meet the loss together cause one new connection", async () => {
    const backend = fakeBackend("b1", {
      tools: ["t"],
      answer: async (_request, connection) =>
        connection.backendSessionId === "b1-1" ? never() : { content: [] },
    });
    await using session = await openSession([backend], { maxCallsInFlight: 200 });

    const calls = Array.from({ length: 100 }, async () => session.callTool("t", {}));
    for (const sink of backend.connections[0]?.sinks.values() ?? []) sink.fail(lost);
    const results = await Promise.all(calls);

    expect(backend.connections).toHaveLength(2);
    expect(backend.connections[1]?.received).toHaveLength(100);
    expect(results.every(({ meta }) => meta?.["backend_reinitialized"] === true)).toBe(true);
  });

  test("a call that may have run is never sent again", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend]);

    const call = session.callTool("t", {});
    const failure = new VmcpError("backend_closed", "ended", { executionState: "unknown" });
    for (const sink of backend.connections[0]?.sinks.values() ?? []) sink.fail(failure);

    await expect(call).rejects.toBe(failure);
    expect(backend.connections).toHaveLength(1);
  });

  test("a second loss is the answer", async () => {
    const backend = fakeBackend("b1", {
      tools: ["t"],
      answer: async (request, connection) => {
        connection.sinks.get(request.id)?.fail(lost);
        return never();
      },
    });
    await using session = await openSession([backend]);

    await expect(session.callTool("t", {})).rejects.toMatchObject({ code: "backend_session_lost" });
    expect(backend.connections).toHaveLength(2);
  });

  test("log level and subscriptions are replayed to the new connection", async () => {
    const backend = fakeBackend("b1", {
      tools: ["t"],
      resources: ["r://1"],
      capabilities: { tools: {}, logging: {}, resources: { subscribe: true } },
    });
    await using session = await openSession([backend]);
    session.setLogLevel("warning");
    const sink = recordingSink();
    session.forward(inboundRequest(1, "resources/subscribe", { uri: "r://1" }), sink);
    await expect.poll(() => sink.heard.length).toBe(1);

    backend.connections[0]?.request.listener.lost(lost);
    await session.callTool("t", {});

    const replayed = backend.connections[1]?.received.map(({ method }) => method);
    expect(replayed).toEqual(["logging/setLevel", "resources/subscribe", "tools/call"]);
  });

  test("a subscription to a URI of more than 8 KiB works, but is not kept to be replayed", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], resources: ["r://1"] });
    await using session = await openSession([backend]);
    const sink = recordingSink();
    for (const [id, length] of [8_192, 8_193].entries()) {
      const uri = "r://".padEnd(length, "x");
      session.forward(inboundRequest(id, "resources/subscribe", { uri }), sink);
    }
    await expect.poll(() => sink.heard.length).toBe(2);

    backend.connections[0]?.request.listener.lost(lost);
    await session.callTool("t", {});

    const replayed = backend.connections[1]?.received.map(({ bytes }) =>
      JSON.parse(bytes.toString()),
    );
    expect(replayed?.map(({ params }) => params.uri?.length)).toEqual([8_192, undefined]);
  });

  test("the loss of a connection that was already replaced harms nobody", async () => {
    const backend = fakeBackend("b1", { tools: ["t"] });
    await using session = await openSession([backend]);
    const stale = backend.connections[0]?.request.listener;
    stale?.lost(lost);
    await session.callTool("t", {});

    stale?.lost(lost);
    await session.callTool("t", {});

    expect(backend.connections).toHaveLength(2);
  });
});

describe("a backend that is down", () => {
  test("its tools stay listed where they are known, and a call names the backend", async () => {
    let isDown = false;
    const factory = createFactory();
    const backend = fakeBackend("b1", {
      tools: ["t"],
      beforeConnect: async () => {
        if (isDown) throw new Error("connection refused");
      },
    });
    await using _first = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });
    isDown = true;

    await using second = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });

    expect(second.tools.map(({ name }) => name)).toEqual(["t"]);
    await expect(second.callTool("t", {})).rejects.toMatchObject({
      message: expect.stringContaining('Backend "b1" is unavailable'),
      executionState: "not_executed",
    });
  });

  test("a backend that recovers fills a session that began without it", async () => {
    let isDown = true;
    const backend = fakeBackend("b1", {
      tools: ["t"],
      beforeConnect: async () => {
        if (isDown) throw new Error("connection refused");
      },
    });
    await using session = await openSession([backend]);
    const messages = listen(session);
    expect(session.tools).toEqual([]);

    isDown = false;
    session.retry(backend.name);

    await expect.poll(() => messages).toEqual([TOOLS_CHANGED]);
    await expect(session.callTool("t", {})).resolves.toMatchObject({ isError: false });
  });
});

describe("lists that change", () => {
  test("a backend's new list replaces the old one and the client is told once", async () => {
    const backend = fakeBackend("b1", { tools: ["old"] });
    await using session = await openSession([backend]);
    const messages = listen(session);
    const [connection] = backend.connections;
    if (connection === undefined) throw new Error("not connected");

    connection.capabilitySet = capabilitySet({ tools: ["new"] });
    for (let count = 0; count < 3; count += 1) {
      connection.request.listener.unsolicited(
        message({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }),
      );
    }

    await expect.poll(() => messages).toEqual([TOOLS_CHANGED]);
    expect(session.tools.map(({ name }) => name)).toEqual(["new"]);
    await expect(session.callTool("old", {})).rejects.toMatchObject({
      code: "capability_not_found",
    });
  });

  test("a name that was given to the session stays callable when a conflict renames the tool", async () => {
    const released = deferred();
    const first = fakeBackend("b1", { tools: ["search"] });
    const late = fakeBackend("b2", {
      tools: ["search"],
      beforeConnect: async () => released.promise,
    });
    await using session = await openSession([first, late], { startDeadlineMs: 20 });
    const messages = listen(session);
    expect(session.tools.map(({ name }) => name)).toEqual(["search"]);

    released.resolve();
    await expect.poll(() => messages).toEqual([TOOLS_CHANGED]);

    expect(session.tools.map(({ name }) => name)).toEqual(["b1_search", "b2_search"]);
    await session.callTool("search", {});
    expect(first.connections[0]?.received.map(({ method }) => method)).toEqual(["tools/call"]);
  });

  test("a list that another session changed for itself is not offered to a new session unasked", async () => {
    const factory = createFactory();
    const backend = fakeBackend("b1", { tools: ["login"] });
    await using first = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });
    const messages = listen(first);
    const [connection] = backend.connections;
    if (connection === undefined) throw new Error("not connected");
    connection.capabilitySet = capabilitySet({ tools: ["login", "secret"] });
    connection.request.listener.unsolicited(
      message({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }),
    );
    await expect.poll(() => messages).toHaveLength(1);

    await using second = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });

    expect(backend.connections[1]?.request.knownCapabilities).toBeUndefined();
    expect(second.tools.map(({ name }) => name)).toEqual(["login"]);
  });

  test("nothing is told before the client is initialized", async () => {
    const backend = fakeBackend("b1", { tools: ["old"] });
    await using session = await openSession([backend]);
    const messages: string[] = [];
    session.attachStream({ send: (bytes) => messages.push(bytes.toString()) > 0, end() {} });
    const [connection] = backend.connections;
    if (connection === undefined) throw new Error("not connected");
    connection.capabilitySet = capabilitySet({ tools: ["new"] });
    connection.request.listener.unsolicited(
      message({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }),
    );
    await expect.poll(() => session.tools.map(({ name }) => name)).toEqual(["new"]);
    expect(messages).toEqual([]);

    session.notify(notification("notifications/initialized"));

    await expect.poll(() => messages).toEqual([TOOLS_CHANGED]);
  });
});

describe("what a backend says during a call", () => {
  test("progress and log messages flow to the caller before the answer", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend], { drainDeadlineMs: 1 });
    const sink = recordingSink();
    session.forward(inboundRequest(1, "tools/call", { name: "t" }), sink);
    const progress = message({ jsonrpc: "2.0", method: "notifications/progress", params: {} });

    backend.connections[0]?.sinks.get(1)?.event(progress);
    backend.connections[0]?.sinks.get(1)?.answer(message({ jsonrpc: "2.0", id: 1, result: {} }));

    expect(sink.heard).toEqual([
      `event ${progress.bytes.toString()}`,
      'answer {"jsonrpc":"2.0","id":1,"result":{}}',
    ]);
  });

  test("only the first answer counts", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend], { drainDeadlineMs: 1 });
    const sink = recordingSink();
    session.forward(inboundRequest(1, "tools/call", { name: "t" }), sink);
    const answer = message({ jsonrpc: "2.0", id: 1, result: {} });

    backend.connections[0]?.sinks.get(1)?.answer(answer);
    backend.connections[0]?.sinks.get(1)?.answer(answer);
    backend.connections[0]?.sinks.get(1)?.fail(new VmcpError("backend_closed", "late"));

    expect(sink.heard).toHaveLength(1);
  });

  test("a message without a stream of its own goes to the only call in flight", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend], { drainDeadlineMs: 1 });
    const sink = recordingSink();
    session.forward(inboundRequest(1, "tools/call", { name: "t" }), sink);
    const log = message({ jsonrpc: "2.0", method: "notifications/message", params: {} });

    backend.connections[0]?.request.listener.unsolicited(log);

    expect(sink.heard).toEqual([`event ${log.bytes.toString()}`]);
  });

  test("a cancelled call hears nothing more and the backend is told", async () => {
    const backend = fakeBackend("b1", { tools: ["t"], answer: never });
    await using session = await openSession([backend]);
    const sink = recordingSink();
    session.forward(inboundRequest(0, "tools/call", { name: "t" }), sink);

    session.notify(notification("notifications/cancelled", { requestId: 0, reason: "enough" }));
    backend.connections[0]?.sinks.get(0)?.answer(message({ jsonrpc: "2.0", id: 0, result: {} }));

    expect(backend.connections[0]?.cancelled).toEqual([0]);
    expect(sink.heard).toEqual([]);
    expect(session.isBusy).toBe(false);
  });
});

const TOOLS_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
