import { resolve } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  BACKEND,
  connectHttp,
  connectRequest,
  connectStdio,
  createHeard,
} from "../../test/support/backend/connecting.ts";
import { startHttpBackend } from "../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../test/support/backend/recorder.ts";
import { startSdkBackend, type SdkLine } from "../../test/support/backend/sdk-backend.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { JsonObject } from "../domain/json.ts";
import { encodeRequest } from "../mcp/json-rpc.ts";
import type { SessionBackend } from "../session/backend-connection.ts";
import { createBackendConnector } from "./connector.ts";
import type { BackendOptions } from "./options.ts";
import type { BackendConnection } from "./ports.ts";
import { HttpPools } from "./streamable-http/http-pools.ts";

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

async function ask(
  connection: BackendConnection,
  method: string,
  params: JsonObject,
): Promise<JsonObject | undefined> {
  const recorder = createRecorder();
  connection.forward({ id: 1, method, bytes: encodeRequest(1, method, params) }, recorder);
  return (await recorder.answered).message.result;
}

function optionsFor(more: Partial<BackendOptions>): BackendOptions {
  return { name: BACKEND, transport: "stdio", command: "x", logger: SILENT_LOGGER, ...more };
}

test("a connector is what a session asks of a backend", () => {
  const connector = createBackendConnector(optionsFor({}));

  const backend: SessionBackend = {
    name: BACKEND,
    connect: async (...args) => connector.connect(...args),
  };

  expect(backend.name).toBe(BACKEND);
});

test.for<SdkLine>(["v1", "v2"])(
  "a connection to a live %s server discovers what it offers, and closing ends its session [seed 86]",
  async (line) => {
    const backend = await startSdkBackend(line, "one");
    cleanups.push(backend);

    const { connection, capabilities } = await connectHttp(backend.url);
    const sessionsWhileOpen = [...backend.openSessions];
    await connection[Symbol.asyncDispose]();

    expect(capabilities.tools.map(({ key }) => key)).toEqual(["greet"]);
    expect(capabilities.resources.map(({ key }) => key)).toEqual(["doc://one"]);
    expect(capabilities.prompts.map(({ key }) => key)).toEqual(["ask"]);
    expect(connection.greeting.serverInfo).toMatchObject({ name: "one" });
    expect(sessionsWhileOpen).toEqual([connection.backendSessionId]);
    expect(backend.openSessions.size).toBe(0);
  },
);

test.for<SdkLine>(["v1", "v2"])("a tool of a live %s server is called [seed 86]", async (line) => {
  const backend = await startSdkBackend(line, "one");
  cleanups.push(backend);
  const connected = await connectHttp(backend.url);
  cleanups.push(connected);

  const result = await ask(connected.connection, "tools/call", { name: "greet", arguments: {} });

  expect(result).toMatchObject({ content: [{ type: "text", text: "hello from one" }] });
});

test.for<SdkLine>(["v1", "v2"])(
  "a resource of a live %s server is read [seed 86]",
  async (line) => {
    const backend = await startSdkBackend(line, "one");
    cleanups.push(backend);
    const connected = await connectHttp(backend.url);
    cleanups.push(connected);

    const result = await ask(connected.connection, "resources/read", { uri: "doc://one" });

    expect(result).toMatchObject({ contents: [{ uri: "doc://one", text: "doc of one" }] });
  },
);

test.for<SdkLine>(["v1", "v2"])("a prompt of a live %s server is got [seed 86]", async (line) => {
  const backend = await startSdkBackend(line, "one");
  cleanups.push(backend);
  const connected = await connectHttp(backend.url);
  cleanups.push(connected);

  const result = await ask(connected.connection, "prompts/get", { name: "ask" });

  expect(result).toMatchObject({ messages: [{ content: { text: "ask one" } }] });
});

test("two backends are connected side by side and answer for themselves [seed 86]", async () => {
  const backends = [await startSdkBackend("v1", "one"), await startSdkBackend("v2", "two")];
  cleanups.push(...backends);
  const connected = await Promise.all(backends.map(({ url }) => connectHttp(url)));
  cleanups.push(...connected);

  const results = await Promise.all(
    connected.map(({ connection }) => ask(connection, "tools/call", { name: "greet" })),
  );

  expect(results).toMatchObject([
    { content: [{ text: "hello from one" }] },
    { content: [{ text: "hello from two" }] },
  ]);
});

test("a program over stdio is discovered and called [seed 86]", async () => {
  const root = resolve(import.meta.dirname, "../..");
  const program = "node_modules/@modelcontextprotocol/server-memory/dist/index.js";
  const connected = await connectStdio([resolve(root, program)]);
  cleanups.push(connected);

  const result = await ask(connected.connection, "tools/call", {
    name: "read_graph",
    arguments: {},
  });

  expect(connected.capabilities.tools.map(({ key }) => key)).toContain("read_graph");
  expect(result).toHaveProperty("content");
});

test.for(["websocket", "SSE", "", "STDIO"])(
  'transport "%s" is refused by name [seed 88]',
  (name) => {
    const act = (): unknown => createBackendConnector(optionsFor({ transport: name }));

    expect(act).toThrow(
      expect.objectContaining({
        code: "unsupported_transport",
        message: expect.stringContaining(`transport "${name}" is not supported`),
      }),
    );
  },
);

test.for<readonly [string, Partial<BackendOptions>]>([
  ["no url", { url: undefined }],
  ["a url that is none", { url: "not a url" }],
  ["another scheme", { url: "ftp://x/" }],
  ["credentials in the url", { url: "http://user:s3cret@x/" }],
  ["a header of the protocol", { headers: { "Mcp-Session-Id": "s3cret" } }],
  ["a header of the connection", { headers: { connection: "s3cret" } }],
  ["a header name with a space", { headers: { "a b": "s3cret" } }],
  ["a header value with a line break", { headers: { a: "s3cret\r\nx: y" } }],
  ["a revision that is not spoken", { revision: "2027-01-01" }],
  ["no command", { transport: "stdio", command: undefined }],
  ["an argument with NUL", { transport: "stdio", command: "x", args: ["s3cret\0"] }],
])("a backend with %s is refused without showing a secret", ([, options]) => {
  const http = new HttpPools();
  const base = { transport: "streamable-http", url: "http://127.0.0.1:1/mcp", http };
  const act = (): unknown => createBackendConnector(optionsFor({ ...base, ...options }));

  expect(act).toThrow(
    expect.objectContaining({
      code: "invalid_config",
      message: expect.not.stringContaining("s3cret"),
    }),
  );
});

test("a probe asks in the gateway's own name and leaves nothing open", async () => {
  const backend = await startHttpBackend({ sessionId: "s", capabilities: { tools: {} } });
  cleanups.push(backend);
  const http = new HttpPools();
  cleanups.push(http);
  const { url } = backend;
  const connector = createBackendConnector(optionsFor({ transport: "streamable", url, http }));

  const probe = connector.createProbe();
  const { greeting, capabilities } = await probe.look(NEVER);
  await probe[Symbol.asyncDispose]();

  expect(greeting.serverInfo).toMatchObject({ name: "hand-written" });
  expect(capabilities.tools).toEqual([]);
  expect(backend.of("initialize")[0]?.message["params"]).toMatchObject({
    clientInfo: { name: "vmcp-probe" },
    capabilities: {},
  });
  expect(backend.of("DELETE")).toHaveLength(1);
});

test("lists that are known are not fetched", async () => {
  const backend = await startHttpBackend({ capabilities: { tools: {} } });
  cleanups.push(backend);
  const http = new HttpPools();
  cleanups.push(http);
  const { url } = backend;
  const connector = createBackendConnector(optionsFor({ transport: "streamable-http", url, http }));
  const knownCapabilities = {
    hash: "h",
    tools: [],
    prompts: [],
    resources: [],
    resourceTemplates: [],
  };

  const outcome = await connector.connect(
    connectRequest(createHeard(), { knownCapabilities }),
    NEVER,
  );

  expect(outcome.capabilities).toBe(knownCapabilities);
  expect(backend.of("tools/list")).toEqual([]);
});

test("aborting ends an attempt and its socket", async () => {
  let closed = 0;
  const backend = await startHttpBackend({
    on: {
      initialize: (response) => {
        response.once("close", () => (closed += 1));
      },
    },
  });
  cleanups.push(backend);
  const http = new HttpPools();
  cleanups.push(http);
  const { url } = backend;
  const connector = createBackendConnector(optionsFor({ transport: "streamable-http", url, http }));
  const attempt = new AbortController();
  const connecting = connector.connect(connectRequest(createHeard()), attempt.signal);
  await expect.poll(() => backend.of("initialize").length).toBe(1);

  attempt.abort(new Error("changed my mind"));

  await expect(connecting).rejects.toThrow("changed my mind");
  await expect.poll(() => closed).toBe(1);
});
