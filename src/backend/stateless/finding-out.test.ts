import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  connectHttp,
  connectRequest,
  createHeard,
  BACKEND,
} from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendJson,
  startHttpBackend,
  type HttpBackend,
  type HttpScript,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { startSseBackend } from "../../../test/support/backend/sse-backend.ts";
import {
  discovered,
  outcomeOf,
  requestOf,
  sendError,
} from "../../../test/support/backend/stateless-script.ts";
import { STATELESS_CHILD } from "../../../test/support/backend/stateless-backend.ts";
import { SILENT_LOGGER } from "../../domain/logger.ts";
import { createBackendConnector, type BackendConnector } from "../connector.ts";
import type { BackendOptions } from "../options.ts";
import type { BackendConnection } from "../ports.ts";
import { HttpPools } from "../streamable-http/http-pools.ts";

const NEVER = new AbortController().signal;

function connectorOf(options: Partial<BackendOptions>): BackendConnector {
  const http = new HttpPools();
  onTestFinished(async () => http[Symbol.asyncDispose]());
  const common = { name: BACKEND, transport: "streamable-http", http, logger: SILENT_LOGGER };
  return createBackendConnector({ ...common, ...options });
}

async function start(script: HttpScript): Promise<HttpBackend> {
  const backend = await startHttpBackend(script);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

/** What the gateway's own look and then a session find the backend to speak. */
async function lookAndConnect(connector: BackendConnector): Promise<readonly string[]> {
  const probe = connector.createProbe();
  onTestFinished(async () => probe[Symbol.asyncDispose]());
  const found = await probe.look(NEVER);
  const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
  onTestFinished(async () => connection[Symbol.asyncDispose]());
  return [found.greeting.revision, connection.greeting.revision];
}

const status =
  (code: number, body = ""): Reply =>
  (response) => {
    response.writeHead(code, { "content-type": body === "" ? "text/plain" : "application/json" });
    response.end(body);
  };

describe("what a backend says to server/discover", () => {
  test.for<readonly [string, Reply]>([
    ["400 without a body", status(400)],
    ["404 without a body", status(404)],
    ["405", status(405)],
    [
      "400 with another error and no id",
      status(400, '{"jsonrpc":"2.0","error":{"code":-32000,"message":"no session"},"id":null}'),
    ],
    [
      "-32601",
      (response, seen) => sendError(response, seen, 200, { code: -32_601, message: "unknown" }),
    ],
    [
      "-32602",
      (response, seen) => sendError(response, seen, 200, { code: -32_602, message: "not yet" }),
    ],
    ["an empty result", (response, seen) => sendJson(response, resultFor(seen, {}))],
    ["revisions with sessions alone", discovered({ supportedVersions: ["2025-11-25"] })],
    [
      "-32022 with revisions with sessions",
      (response, seen) =>
        sendError(response, seen, 400, {
          code: -32_022,
          message: "unsupported",
          data: { supported: ["2025-06-18"], requested: "2026-07-28" },
        }),
    ],
    ["HTTP 500", status(500)],
  ])("%s means sessions, and is asked for once", async ([, discover]) => {
    const backend = await start({ on: { "server/discover": discover } });

    const revisions = await lookAndConnect(connectorOf({ url: backend.url }));

    expect(revisions).toEqual(["2025-11-25", "2025-11-25"]);
    expect(backend.of("server/discover")).toHaveLength(1);
    expect(backend.of("initialize")).toHaveLength(2);
  });

  test("a result means the revision without sessions: nobody is initialized", async () => {
    const backend = await start({
      on: {
        "server/discover": discovered({ instructions: "be kind", capabilities: { tools: {} } }),
      },
    });

    const revisions = await lookAndConnect(connectorOf({ url: backend.url }));

    expect(revisions).toEqual(["2026-07-28", "2026-07-28"]);
    expect(backend.of("initialize")).toEqual([]);
    expect(backend.of("DELETE")).toEqual([]);
  });

  test.for([
    ["401", 401, "backend_auth"],
    ["403", 403, "backend_auth"],
    ["a redirect", 302, "backend_redirect"],
    ["429", 429, "backend_rate_limited"],
  ] as const)("%s says nothing of it and is what the look meets", async ([, code, expected]) => {
    const backend = await start({ on: { "server/discover": status(code) } });
    const connector = connectorOf({ url: backend.url });

    const looking = connector.createProbe().look(NEVER);

    await expect(looking).rejects.toMatchObject({ code: expected });
    expect(backend.of("initialize")).toEqual([]);
  });

  test("revisions that the gateway does not speak are named", async () => {
    const backend = await start({
      on: { "server/discover": discovered({ supportedVersions: ["2031-01-01"] }) },
    });

    const looking = connectorOf({ url: backend.url }).createProbe().look(NEVER);

    await expect(looking).rejects.toMatchObject({
      code: "backend_protocol",
      message: expect.stringContaining("2031-01-01"),
    });
  });
});

test.for([200, 404])(
  "a backend that no longer knows the question (%i) is met anew by the look that asks it",
  async (code) => {
    let isReplaced = false;
    const backend = await start({
      on: {
        "server/discover": (response, seen) =>
          isReplaced
            ? sendError(response, seen, code, { code: -32_601, message: "unknown" })
            : discovered()(response, seen),
      },
    });
    const probe = connectorOf({ url: backend.url }).createProbe();
    onTestFinished(async () => probe[Symbol.asyncDispose]());
    const before = await probe.look(NEVER);

    isReplaced = true;
    const after = await probe.look(NEVER);

    expect([before.greeting.revision, after.greeting.revision]).toEqual([
      "2026-07-28",
      "2025-11-25",
    ]);
  },
);

test("a backend that is known for no sessions is not taken for one of sessions when it fails", async () => {
  let isIll = false;
  const backend = await start({
    on: {
      "server/discover": (response, seen) =>
        isIll ? status(500)(response, seen) : discovered()(response, seen),
    },
  });
  const connector = connectorOf({ url: backend.url });
  await lookAndConnect(connector);

  isIll = true;
  const connecting = connector.connect(connectRequest(createHeard()), NEVER);

  await expect(connecting).rejects.toMatchObject({ code: "backend_http_5xx" });
  expect(backend.of("initialize")).toEqual([]);
});

describe("a session that starts before anybody has looked", () => {
  test("does not wait for a question", async () => {
    const backend = await start({ on: { "server/discover": discovered() } });

    await using connected = await connectHttp(backend.url);

    expect(connected.connection.greeting.revision).toBe("2025-11-25");
    expect(backend.of("server/discover")).toEqual([]);
  });

  test.for<readonly [string, Reply]>([
    [
      "-32022",
      (response, seen) =>
        sendError(response, seen, 400, {
          code: -32_022,
          message: "unsupported",
          data: { supported: ["2026-07-28"] },
        }),
    ],
    [
      "404 and -32601",
      (response, seen) => sendError(response, seen, 404, { code: -32_601, message: "?" }),
    ],
    [
      "400 without an id",
      status(400, '{"jsonrpc":"2.0","error":{"code":-32020,"message":"headers"}}'),
    ],
  ])("asks a backend that answers initialize with %s", async ([, initialize]) => {
    const backend = await start({ on: { initialize, "server/discover": discovered() } });

    await using connected = await connectHttp(backend.url);

    expect(connected.connection.greeting.revision).toBe("2026-07-28");
    expect(backend.of("server/discover")).toHaveLength(1);
  });

  test("meets the refusal of a backend that knows neither", async () => {
    const refuse: Reply = (response, seen) =>
      sendError(response, seen, 400, { code: -32_000, message: "no" });
    const backend = await start({ on: { initialize: refuse, "server/discover": refuse } });

    const connecting = connectHttp(backend.url);

    await expect(connecting).rejects.toMatchObject({
      code: "backend_protocol",
      message: expect.stringContaining("initialize"),
    });
  });
});

describe("a pinned revision", () => {
  test("without sessions is asked for and nothing else is tried", async () => {
    const backend = await start({});

    const connecting = connectHttp(backend.url, { revision: "2026-07-28" });

    await expect(connecting).rejects.toMatchObject({
      code: "backend_protocol",
      message: expect.stringContaining("does not speak revision 2026-07-28"),
    });
    expect(backend.of("initialize")).toEqual([]);
  });

  test("with sessions is initialized, and never asked for another", async () => {
    const backend = await start({ on: { "server/discover": discovered() } });

    const connector = connectorOf({ url: backend.url, revision: "2025-06-18" });
    const revisions = await lookAndConnect(connector);

    expect(revisions).toEqual(["2025-11-25", "2025-11-25"]);
    expect(backend.of("initialize")[0]?.message).toMatchObject({
      params: { protocolVersion: "2025-06-18" },
    });
    expect(backend.of("server/discover")).toEqual([]);
  });

  test("without sessions cannot be spoken over the transport that is one session", () => {
    const act = (): unknown =>
      connectorOf({ transport: "sse", url: "http://127.0.0.1:1/sse", revision: "2026-07-28" });

    expect(act).toThrow(expect.objectContaining({ code: "invalid_config" }));
  });
});

describe("a backend of no sessions that refuses a call as one of sessions would", () => {
  const setUp = async (): Promise<{
    readonly backend: HttpBackend;
    readonly connector: BackendConnector;
    readonly connection: BackendConnection;
    readonly replace: () => void;
  }> => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    let isReplaced = false;
    const backend = await start({
      on: {
        "server/discover": (response, seen) =>
          isReplaced ? status(400)(response, seen) : discovered()(response, seen),
        "tools/call": status(404),
      },
    });
    const connector = connectorOf({ url: backend.url, revision: "auto" });
    const probe = connector.createProbe();
    onTestFinished(async () => probe[Symbol.asyncDispose]());
    await probe.look(NEVER);
    const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
    onTestFinished(async () => connection[Symbol.asyncDispose]());
    return { backend, connector, connection, replace: () => (isReplaced = true) };
  };

  test("is taken at its word so soon after it was asked", async () => {
    const { connection } = await setUp();

    const { error } = await outcomeOf(connection, requestOf(1, "tools/call", { name: "n" }));

    expect(error).toMatchObject({ code: "backend_http_4xx", executionState: "not_executed" });
  });

  test("is asked again otherwise, and the call may go to a new connection", async () => {
    const { connector, connection, replace } = await setUp();

    vi.advanceTimersByTime(10_001);
    replace();
    const { error } = await outcomeOf(connection, requestOf(1, "tools/call", { name: "n" }));
    const next = await connector.connect(connectRequest(createHeard()), NEVER);
    onTestFinished(async () => next.connection[Symbol.asyncDispose]());

    expect(error).toMatchObject({ code: "backend_session_lost", executionState: "not_executed" });
    expect(next.connection.greeting.revision).toBe("2025-11-25");
  });
});

test("a backend that is to speak without sessions gets none over HTTP+SSE either", async () => {
  const backend = await startSseBackend();
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const connector = connectorOf({
    url: backend.url,
    transport: "auto",
    revision: "2026-07-28",
    timeouts: { startMs: 2_000 },
  });

  const connecting = connector.connect(connectRequest(createHeard()), NEVER);

  await expect(connecting).rejects.toMatchObject({ code: "backend_protocol" });
  expect(backend.of("initialize")).toEqual([]);
});

describe("a program", () => {
  const run = (args: readonly string[]): Partial<BackendOptions> => ({
    transport: "stdio",
    command: process.execPath,
    args,
  });

  test.for(["both", "modern-only"])(
    "that speaks without sessions (%s) is found out",
    async (kind) => {
      const revisions = await lookAndConnect(connectorOf(run([STATELESS_CHILD, kind])));

      expect(revisions).toEqual(["2026-07-28", "2026-07-28"]);
    },
  );

  test("that asks in between what nobody can answer gets no more time for its calls", async () => {
    const script = `
      const lines = require("node:readline").createInterface({ input: process.stdin });
      const say = (message) => console.log(JSON.stringify({ jsonrpc: "2.0", ...message }));
      lines.on("line", (line) => {
        const { id, method } = JSON.parse(line);
        if (method === "server/discover") {
          say({ id, result: { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: {} } });
        } else if (id !== undefined) say({ id: "q", method: "roots/list" });
      });`;
    const timeouts = { callMs: 100, clientAnswerMs: 600 };
    const connector = connectorOf({ ...run(["-e", script]), revision: "2026-07-28", timeouts });
    const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
    onTestFinished(async () => connection[Symbol.asyncDispose]());

    const { error } = await outcomeOf(connection, requestOf(1, "tools/call", { name: "t" }));

    expect(error).toMatchObject({ code: "backend_timeout" });
  });

  test("that ends when it is asked too early is started again, and never asked again", async () => {
    const script = `
      const lines = require("node:readline").createInterface({ input: process.stdin });
      const say = (id, result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
      let isGreeted = false;
      lines.on("line", (line) => {
        const { id, method } = JSON.parse(line);
        if (method === "initialize") {
          isGreeted = true;
          say(id, { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } });
        } else if (!isGreeted) process.exit(7);
        else if (id !== undefined) say(id, {});
      });`;

    const revisions = await lookAndConnect(connectorOf(run(["-e", script])));

    expect(revisions).toEqual(["2025-11-25", "2025-11-25"]);
  });

  test("whose refusal of the question comes late does not refuse initialize with it", async () => {
    const script = `
      const lines = require("node:readline").createInterface({ input: process.stdin });
      const say = (message) => console.log(JSON.stringify({ jsonrpc: "2.0", ...message }));
      let asked;
      lines.on("line", (line) => {
        const { id, method } = JSON.parse(line);
        if (method === "server/discover") asked = id;
        else if (method === "initialize") {
          say({ id: asked, error: { code: -32601, message: "no" } });
          say({ id, result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } } });
        } else if (id !== undefined) say({ id, result: {} });
      });`;
    const timeouts = { startMs: 4_000 };

    const revisions = await lookAndConnect(connectorOf({ ...run(["-e", script]), timeouts }));

    expect(revisions).toEqual(["2025-11-25", "2025-11-25"]);
  });

  test.for(["while it starts", "until it is greeted, and ends then"])(
    "that says nothing %s is initialized all the same",
    async (when) => {
      const script = `
        const lines = require("node:readline").createInterface({ input: process.stdin });
        const say = (id, result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
        let seen = 0;
        lines.on("line", (line) => {
          const { id, method } = JSON.parse(line);
          seen += 1;
          if (method === "initialize" && seen > 1 && ${when.endsWith("then")}) process.exit(7);
          if (method === "initialize") {
            say(id, { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } });
          }
        });`;

      const connector = connectorOf({ ...run(["-e", script]), timeouts: { startMs: 4_000 } });

      expect(await lookAndConnect(connector)).toEqual(["2025-11-25", "2025-11-25"]);
    },
  );

  test("that refuses initialize is asked by another process of it", async () => {
    const connector = connectorOf(run([STATELESS_CHILD, "modern-only"]));

    const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
    onTestFinished(async () => connection[Symbol.asyncDispose]());

    expect(connection.greeting.revision).toBe("2026-07-28");
  });
});
