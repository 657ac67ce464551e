import { resolve } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  BACKEND,
  callOf,
  connectRequest,
  createHeard,
} from "../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  startHttpBackend,
  type HttpBackend,
  type HttpScript,
} from "../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../test/support/backend/recorder.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { BackendConnection } from "./ports.ts";
import { createRequestScopedConnector } from "./request-scoped.ts";
import { HttpPools } from "./streamable-http/http-pools.ts";

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

interface Rig {
  readonly backend: HttpBackend;
  readonly connection: BackendConnection;
}

async function connectTo(script: HttpScript): Promise<Rig> {
  const backend = await startHttpBackend({ sessionId: "s", ...script });
  const http = new HttpPools();
  cleanups.push(backend, http);
  const connector = createRequestScopedConnector({
    name: BACKEND,
    transport: "streamable-http",
    url: backend.url,
    http,
    logger: SILENT_LOGGER,
  });
  const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
  cleanups.push(connection);
  return { backend, connection };
}

test("connecting lists and leaves nothing open", async () => {
  const { backend } = await connectTo({ capabilities: { tools: {} } });

  expect(backend.of("tools/list")).toHaveLength(1);
  expect(backend.of("DELETE")).toHaveLength(1);
});

test("each call has a backend session of its own, which ends with it", async () => {
  const { backend, connection } = await connectTo({ capabilities: { tools: {} } });
  const recorders = [createRecorder(), createRecorder()];

  for (const [id, recorder] of recorders.entries()) connection.forward(callOf(id), recorder);
  await Promise.all(recorders.map(({ answered }) => answered));

  await expect.poll(() => backend.of("DELETE").length).toBe(3);
  expect(backend.of("initialize")).toHaveLength(3);
  // The lists are known from connecting.
  expect(backend.of("tools/list")).toHaveLength(1);
  expect(connection.hasSessionPerCall).toBe(true);
});

test("a call that is cancelled while it runs ends its session too", async () => {
  const { backend, connection } = await connectTo({ on: { "tools/call": () => {} } });
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(1), recorder);
  await expect.poll(() => backend.of("tools/call").length).toBe(1);

  exchange.cancel("enough");

  await expect.poll(() => backend.of("DELETE").length).toBe(2);
  expect(backend.of("notifications/cancelled")).toHaveLength(1);
  expect(recorder.endings).toEqual([]);
});

test("a call that is cancelled before its session is open never reaches the backend", async () => {
  const { backend, connection } = await connectTo({});
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder).cancel("enough");
  await connection[Symbol.asyncDispose]();

  expect(backend.of("tools/call")).toEqual([]);
  expect(recorder.endings).toEqual([]);
});

test("a session that cannot be opened means that the call did not run", async () => {
  let initializes = 0;
  const { connection } = await connectTo({
    on: {
      initialize: (response, seen) => {
        initializes += 1;
        if (initializes > 1) response.destroy();
        else {
          const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: {} };
          sendJson(response, resultFor(seen, result));
        }
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "not_executed" },
  });
});

test("requests of several sessions keep apart, whatever ids the backend gives them", async () => {
  const answers = new Map<unknown, unknown>();
  const { backend, connection } = await connectTo({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        sendEvent(response, { jsonrpc: "2.0", id: 1, method: "elicitation/create", params: {} });
      },
    },
  });
  const recorders = [createRecorder(), createRecorder()];
  const exchanges = recorders.map((recorder, id) => connection.forward(callOf(id), recorder));
  await expect.poll(() => recorders.map(({ events }) => events.length)).toEqual([1, 1]);

  const ids = recorders.map(({ events }) => events[0]?.message.id);
  for (const id of ids) {
    const answer = { jsonrpc: "2.0", id, result: { to: id } };
    await connection.send(Buffer.from(JSON.stringify(answer)));
  }
  for (const { message } of backend.seen) {
    if (message["method"] === undefined && message["result"] !== undefined) {
      answers.set(message["result"], message["id"]);
    }
  }

  expect(new Set(ids).size).toBe(2);
  expect([...answers.values()]).toEqual([1, 1]);
  for (const exchange of exchanges) exchange.cancel("done");
});

test.for(["resources/subscribe", "resources/unsubscribe"])("%s is refused", async (method) => {
  const { connection } = await connectTo({});
  const recorder = createRecorder();

  connection.forward({ ...callOf(1), method }, recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "method_not_found", executionState: "not_executed" },
  });
});

test("what no session is there to hear is dropped without complaint", async () => {
  const { backend, connection } = await connectTo({});
  const before = backend.seen.length;

  connection.openNotifications();
  await connection.send(Buffer.from('{"jsonrpc":"2.0","id":"vmcp:asked:9","result":{}}'));
  await connection.send(Buffer.from('{"jsonrpc":"2.0","method":"notifications/x"}'));

  expect(backend.seen).toHaveLength(before);
});

test("disposing ends calls under way and waits until they are closed", async () => {
  const { backend, connection } = await connectTo({ on: { "tools/call": () => {} } });
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await expect.poll(() => backend.of("tools/call").length).toBe(1);

  await connection[Symbol.asyncDispose]();

  expect(await recorder.ended).toMatchObject({ error: { code: "session_closed" } });
  expect(backend.of("DELETE")).toHaveLength(2);
});

test("over stdio each call has a child of its own, which is gone afterwards", async () => {
  const child = resolve(import.meta.dirname, "../../test/support/backend/child.mjs");
  const connector = createRequestScopedConnector({
    name: BACKEND,
    transport: "stdio",
    command: process.execPath,
    args: [child],
    logger: SILENT_LOGGER,
  });
  const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  await recorder.answered;
  await connection[Symbol.asyncDispose]();

  await expect.poll(() => process.getActiveResourcesInfo()).not.toContain("ProcessWrap");
});
