import { describe, expect, onTestFinished, test } from "vitest";
import { connectHttp, type Connected } from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  startHttpBackend,
  type HttpBackend,
  type HttpScript,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import {
  discovered,
  outcomeOf,
  requestOf,
  sendError,
} from "../../../test/support/backend/stateless-script.ts";
import { waitFor } from "../../../test/support/quiescence.ts";
import { SILENT_LOGGER } from "../../domain/logger.ts";
import type { JsonObject } from "../../domain/json.ts";
import { DEADLINES } from "../../lib/deadlines.ts";
import type { OutboundRequest } from "../../mcp/exchange.ts";
import type { BackendOptions } from "../options.ts";

interface Started extends Connected {
  readonly backend: HttpBackend;
}

/** A connection to a backend that knows no sessions, with these answers. */
async function connect(
  on: NonNullable<HttpScript["on"]>,
  options: Partial<BackendOptions> = {},
): Promise<Started> {
  const backend = await startHttpBackend({ on: { "server/discover": discovered(), ...on } });
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const connected = await connectHttp(backend.url, { revision: "2026-07-28", ...options });
  onTestFinished(async () => connected[Symbol.asyncDispose]());
  return { ...connected, backend };
}

function callOf(id: number | string, args: JsonObject = {}): OutboundRequest {
  const params = { name: "t", arguments: args };
  return { ...requestOf(id, "tools/call", params), toolName: "t" };
}

const ENVELOPE = {
  revision: "2026-07-28",
  capabilities: { sampling: {} },
  info: { name: "another", version: "3" },
};

const answering =
  (result: JsonObject): Reply =>
  (response, seen) =>
    sendJson(response, resultFor(seen, result));

const failing =
  (status: number, error: JsonObject): Reply =>
  (response, seen) =>
    sendError(response, seen, status, error);

const QUESTION = {
  q: { method: "elicitation/create", params: { message: "?", requestedSchema: {} } },
};

const ASKING = { resultType: "input_required", inputRequests: QUESTION, requestState: "s" };

describe("headers that do not match", () => {
  const toolsWith = (header: string): JsonObject => ({
    tools: [
      {
        name: "t",
        inputSchema: {
          type: "object",
          properties: { a: { type: "string", "x-mcp-header": header } },
        },
      },
    ],
  });

  test("are made anew after the tools were listed again, and the session is told that they changed", async () => {
    let header = "Old";
    const { connection, backend, heard } = await connect({
      "tools/list": (response, seen) => sendJson(response, resultFor(seen, toolsWith(header))),
      "tools/call": (response, seen) => {
        if (seen.headers["mcp-param-new"] === "x") sendJson(response, resultFor(seen));
        else sendError(response, seen, 400, { code: -32_020, message: "mismatch" });
      },
    });

    header = "New";
    const call = callOf(1, { a: "x" });
    const { answer } = await outcomeOf(connection, call);

    expect(answer?.message.result).toEqual({ content: [] });
    expect(backend.of("tools/call").map(({ headers }) => headers["mcp-param-old"])).toEqual([
      "x",
      undefined,
    ]);
    expect(heard.messages.map(({ message }) => message.method)).toEqual([
      "notifications/tools/list_changed",
    ]);
  });

  test("twice in one call are the backend's fault, and no client sees its error", async () => {
    const { connection, backend } = await connect({
      "tools/list": answering(toolsWith("A")),
      "tools/call": failing(400, { code: -32_020, message: "mismatch" }),
    });

    const { error } = await outcomeOf(connection, callOf(1));

    expect(error).toMatchObject({ code: "backend_protocol", executionState: "not_executed" });
    expect(backend.of("tools/call")).toHaveLength(2);
  });
});

test("a tool whose parameters cannot be put into headers is left out with a line in the log", async () => {
  const lines: object[] = [];
  const logger = { ...SILENT_LOGGER, warn: (...line: unknown[]) => void lines.push(line) };
  const properties = { a: { type: "number", "x-mcp-header": "A" } };
  const tools = [{ name: "bad", inputSchema: { type: "object", properties } }, { name: "good" }];

  const { capabilities } = await connect({ "tools/list": answering({ tools }) }, { logger });

  expect(capabilities.tools.map(({ key }) => key)).toEqual(["good"]);
  expect(lines).toContainEqual([
    expect.any(String),
    expect.objectContaining({ item: "bad", reason: expect.stringContaining("header") }),
  ]);
});

test("how long and for whom lists are good is kept with them", async () => {
  const tools = [{ name: "t" }];

  const { capabilities } = await connect({
    "tools/list": answering({ tools, ttlMs: 7_000, cacheScope: "public" }),
  });

  expect(capabilities).toMatchObject({ ttlMs: 7_000, cacheScope: "public" });
});

describe("errors of the stateless revision", () => {
  const missing = {
    code: -32_021,
    message: "missing",
    data: { requiredCapabilities: { sampling: {}, elicitation: {} } },
  };

  test("tell a client of a session in other words what it lacks", async () => {
    const { connection } = await connect({ "tools/call": failing(400, missing) });

    const { answer } = await outcomeOf(connection, callOf(1));

    expect(answer?.message).toMatchObject({
      id: 1,
      error: {
        code: -32_600,
        message: 'Backend "b1" needs a client that offers sampling, elicitation; this one does not',
        data: { backend: "b1" },
      },
    });
  });

  test("reach a client without a session as they are", async () => {
    const { connection } = await connect({ "tools/call": failing(400, missing) });

    const { answer } = await outcomeOf(connection, { ...callOf(1), envelope: ENVELOPE });

    expect(answer?.message.error).toEqual(missing);
  });

  test("never tell a client of a revision that is not its own", async () => {
    const refusing = failing(400, { code: -32_022, message: "no", data: { supported: [] } });
    const { connection } = await connect({ "tools/call": refusing });

    const { error } = await outcomeOf(connection, callOf(1));

    expect(error).toMatchObject({ code: "backend_protocol", executionState: "not_executed" });
  });
});

describe("a client without a session", () => {
  test("is shown to the backend as it shows itself, in each request", async () => {
    const { connection, backend } = await connect({ "tools/call": answering({ content: [] }) });

    await outcomeOf(connection, { ...callOf(1), envelope: { ...ENVELOPE, logLevel: "error" } });
    await outcomeOf(connection, callOf(2));

    const metas = backend.of("tools/call").map(({ message }) => message["params"]);
    expect(metas).toMatchObject([
      {
        _meta: {
          "io.modelcontextprotocol/clientInfo": ENVELOPE.info,
          "io.modelcontextprotocol/clientCapabilities": { sampling: {} },
          "io.modelcontextprotocol/logLevel": "error",
        },
      },
      { _meta: { "io.modelcontextprotocol/clientInfo": { name: "some-client" } } },
    ]);
    expect(metas[1]).not.toHaveProperty(["_meta", "io.modelcontextprotocol/logLevel"]);
  });

  test.for([ASKING, { resultType: "task", taskId: "1" }, { content: [], ttlMs: 1 }])(
    "gets %j as it is",
    async (result) => {
      const { connection } = await connect({ "tools/call": answering(result) });

      const { answer } = await outcomeOf(connection, { ...callOf(1), envelope: ENVELOPE });

      expect(answer?.message.result).toEqual(result);
    },
  );
});

describe("a client of a session", () => {
  test.for([
    { resultType: "task", taskId: "1" },
    { resultType: "unheard-of" },
    { resultType: "input_required" },
    { resultType: "input_required", inputRequests: { a: { method: "tools/call" } } },
  ])("gets an error for %j, which it could not read", async (result) => {
    const { connection } = await connect({ "tools/call": answering(result) });

    const { error } = await outcomeOf(connection, callOf(1));

    expect(error).toMatchObject({ code: "backend_protocol", executionState: "executed" });
  });

  test("hears notifications of its call, and nothing that the backend asks in between", async () => {
    const { connection } = await connect({
      "tools/call": (response, seen) => {
        startEvents(response);
        sendEvent(response, { jsonrpc: "2.0", id: "q", method: "roots/list" });
        sendEvent(response, { jsonrpc: "2.0", method: "notifications/message", params: {} });
        sendEvent(response, resultFor(seen));
        response.end();
      },
    });

    const { events, answer } = await outcomeOf(connection, callOf(1));

    expect(events.map(({ message }) => message.method)).toEqual(["notifications/message"]);
    expect(answer?.message.id).toBe(1);
  });

  test("waits no longer than for any call where the backend asks in between and goes on waiting", async () => {
    const { connection } = await connect(
      {
        "tools/call": (response) => {
          startEvents(response);
          sendEvent(response, { jsonrpc: "2.0", id: "q", method: "roots/list" });
        },
      },
      { timeouts: { callMs: 100, clientAnswerMs: 600 } },
    );

    const { error } = await outcomeOf(connection, callOf(1));

    expect(error).toMatchObject({ code: "backend_timeout" });
  });

  test("has its call made again where the backend asks for nothing but that, as often as for anything", async () => {
    const again = { resultType: "input_required", requestState: "s" };
    let calls = 0;
    const { connection, backend } = await connect({
      "tools/call": (response, seen) => {
        calls += 1;
        sendJson(response, resultFor(seen, calls < 4 ? again : { content: [] }));
      },
    });

    const { events, answer } = await outcomeOf(connection, callOf(1));

    expect(events).toEqual([]);
    expect(answer?.message).toMatchObject({ id: 1, result: { content: [] } });
    const [first, second] = backend.of("tools/call").map(({ message }) => message["params"]);
    expect(first).not.toHaveProperty("requestState");
    expect(second).toMatchObject({ requestState: "s" });
    expect(second).not.toHaveProperty("inputResponses");
  });

  test("that cancels while its call is to be made again has it made no more", async () => {
    const { connection, backend } = await connect({
      "tools/call": answering({ resultType: "input_required", requestState: "s" }),
    });

    const waiting = DEADLINES.size;
    const sink = { event: () => true, answer() {}, fail() {} };
    const exchange = connection.forward(callOf(1), sink);
    await waitFor(() => backend.of("tools/call").length === 3);
    exchange.cancel("enough");
    await waitFor(() => DEADLINES.size <= waiting);

    expect(backend.of("tools/call")).toHaveLength(3);
  });

  test("that does not answer a question ends its call, and the question is taken back", async () => {
    const { connection, heard } = await connect(
      { "tools/call": answering(ASKING) },
      { timeouts: { clientAnswerMs: 50 } },
    );

    const { events, error } = await outcomeOf(connection, callOf(1));

    expect(error).toMatchObject({ code: "client_answer_timeout", executionState: "unknown" });
    expect(heard.messages.map(({ message }) => message)).toMatchObject([
      {
        method: "notifications/cancelled",
        params: { requestId: events[0]?.message.id },
      },
    ]);
  });

  test("whose backend is gone in the second round does not hear that nothing ran", async () => {
    let calls = 0;
    const { connection } = await connect({
      "tools/call": (response, seen) => {
        calls += 1;
        if (calls === 1) sendJson(response, resultFor(seen, ASKING));
        else response.writeHead(429).end();
      },
    });

    const { error } = await outcomeOf(connection, callOf(1), ({ message }) => {
      const text = JSON.stringify({ jsonrpc: "2.0", id: message.id, result: { action: "cancel" } });
      void connection.send(Buffer.from(text));
    });

    expect(error).toMatchObject({ code: "backend_rate_limited", executionState: "unknown" });
  });
});

test("an answer that is cut is lost: it is neither taken up again nor asked for again", async () => {
  const { connection, backend } = await connect({
    "tools/call": (response) => {
      startEvents(response);
      response.write('id: 1\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n');
      response.end();
    },
  });

  const { error } = await outcomeOf(connection, callOf(1));

  expect(error).toMatchObject({ code: "backend_closed", executionState: "unknown" });
  expect(backend.of("GET")).toEqual([]);
  expect(backend.of("tools/call")).toHaveLength(1);
});

test("a ping is a question that such a backend can answer", async () => {
  const { connection, backend } = await connect({});

  const { answer } = await outcomeOf(connection, requestOf("p", "ping"));

  expect(answer?.message.result).toBeDefined();
  expect(backend.of("server/discover")).toHaveLength(2);
  expect(backend.of("ping")).toEqual([]);
});

describe("subscriptions", () => {
  const RESOURCES = discovered({ capabilities: { resources: { subscribe: true } } });
  const URI = "doc://one";

  const confirming =
    (uris: readonly string[]): Reply =>
    (response, seen) => {
      startEvents(response);
      const params = {
        _meta: { "io.modelcontextprotocol/subscriptionId": seen.message["id"] },
        notifications: { resourceSubscriptions: uris },
      };
      sendEvent(response, {
        jsonrpc: "2.0",
        method: "notifications/subscriptions/acknowledged",
        params,
      });
    };

  test("are answered once the backend has confirmed them", async () => {
    const { connection, backend } = await connect({
      "server/discover": RESOURCES,
      "subscriptions/listen": confirming([URI]),
    });

    const { answer } = await outcomeOf(
      connection,
      requestOf(1, "resources/subscribe", { uri: URI }),
    );

    expect(answer?.message).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    expect(backend.of("subscriptions/listen")[0]?.message).toMatchObject({
      params: { notifications: { resourceSubscriptions: [URI] } },
    });
  });

  test.for<readonly [string, Reply, Reply, number]>([
    ["is not offered", discovered(), confirming([URI]), -32_601],
    ["is not confirmed", RESOURCES, confirming([]), -32_602],
    ["is refused", RESOURCES, failing(404, { code: -32_601, message: "no" }), -32_601],
  ])("to what %s are refused", async ([, discover, listen, code]) => {
    const { connection } = await connect({
      "server/discover": discover,
      "subscriptions/listen": listen,
    });

    const { answer } = await outcomeOf(
      connection,
      requestOf(1, "resources/subscribe", { uri: URI }),
    );

    expect(answer?.message).toMatchObject({ id: 1, error: { code } });
  });

  test("that the backend never confirms end with the time of a call", async () => {
    const { connection } = await connect({
      "server/discover": RESOURCES,
      "subscriptions/listen": (response) => startEvents(response),
    });

    const subscribe = requestOf(1, "resources/subscribe", { uri: URI });
    const { error } = await outcomeOf(connection, { ...subscribe, timeoutMs: 50 });

    expect(error).toMatchObject({ code: "backend_timeout" });
  });

  test("that nobody waits for any longer are not wanted by the next stream", async () => {
    const { connection, backend } = await connect({
      "server/discover": RESOURCES,
      "subscriptions/listen": (response, seen) =>
        JSON.stringify(seen.message).includes("kept")
          ? confirming(["kept"])(response, seen)
          : startEvents(response),
    });
    const lost = requestOf(1, "resources/subscribe", { uri: "lost" });
    await outcomeOf(connection, { ...lost, timeoutMs: 50 });

    await outcomeOf(connection, requestOf(2, "resources/subscribe", { uri: "kept" }));

    expect(backend.of("subscriptions/listen").at(-1)?.message).toMatchObject({
      params: { notifications: { resourceSubscriptions: ["kept"] } },
    });
  });

  test("come with the others on one stream, which takes the place of the one before", async () => {
    const open = new Set<unknown>();
    const { connection, backend } = await connect({
      "server/discover": RESOURCES,
      "subscriptions/listen": (response, seen) => {
        open.add(response);
        response.once("close", () => open.delete(response));
        return confirming(["a", "b", "c"])(response, seen);
      },
    });

    await Promise.all(
      ["a", "b"].map(async (uri, id) =>
        outcomeOf(connection, requestOf(id, "resources/subscribe", { uri })),
      ),
    );
    await outcomeOf(connection, requestOf(2, "resources/subscribe", { uri: "c" }));
    await outcomeOf(connection, requestOf(3, "resources/unsubscribe", { uri: "a" }));

    await waitFor(() => backend.of("subscriptions/listen").length === 3 && open.size === 1);
    const filters = backend.of("subscriptions/listen").map(({ message }) => message["params"]);
    expect(filters).toMatchObject([
      { notifications: { resourceSubscriptions: ["a", "b"] } },
      { notifications: { resourceSubscriptions: ["a", "b", "c"] } },
      { notifications: { resourceSubscriptions: ["b", "c"] } },
    ]);
  });

  test("after a stream that ended are taken up again, and everything counts as changed", async () => {
    let streams = 0;
    const { connection, heard } = await connect(
      {
        "server/discover": discovered({
          capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
        }),
        "subscriptions/listen": (response, seen) => {
          streams += 1;
          void confirming([URI])(response, seen);
          if (streams === 2) sendEvent(response, resultFor(seen, { resultType: "complete" }));
          if (streams === 2) response.end();
        },
      },
      { timeouts: { retryMinMs: 1, retryMaxMs: 2 } },
    );

    connection.openNotifications();
    await outcomeOf(connection, requestOf(1, "resources/subscribe", { uri: URI }));
    await outcomeOf(connection, requestOf(2, "resources/subscribe", { uri: "doc://two" }));
    await waitFor(() => heard.messages.length > 1);

    expect(heard.messages.map(({ message }) => message)).toEqual([
      { jsonrpc: "2.0", method: "notifications/tools/list_changed" },
      { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: URI } },
    ]);
  });

  test("end with their connection", async () => {
    let isClosed = false;
    const { connection } = await connect({
      "server/discover": RESOURCES,
      "subscriptions/listen": (response, seen) => {
        response.once("close", () => (isClosed = true));
        return confirming([URI])(response, seen);
      },
    });
    await outcomeOf(connection, requestOf(1, "resources/subscribe", { uri: URI }));

    await connection[Symbol.asyncDispose]();

    await waitFor(() => isClosed);
    const { error } = await outcomeOf(connection, callOf(2));
    expect(error).toMatchObject({ code: "session_closed", executionState: "not_executed" });
  });
});
