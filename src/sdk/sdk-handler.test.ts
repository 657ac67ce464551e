import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import {
  fakeBackend,
  type FakeBackend,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { waitFor } from "../../test/support/quiescence.ts";
import {
  lastMessage,
  openRawSession,
  postMessage,
  sendRaw,
  startRaw,
} from "../../test/support/raw-client.ts";
import { CLIENT, createFactory } from "../../test/support/sessions.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { SessionManager } from "../session/session-manager.ts";
import { MemoryStorage } from "../session/stores/memory-storage.ts";
import { createSdkHandler, type SdkHandler, type SdkHandlerOptions } from "./sdk-handler.ts";

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "c", version: "1" },
  },
} as const;

interface Started {
  readonly url: string;
  readonly backend: FakeBackend;
  readonly sessions: SessionManager<EdgeSession>;
  readonly handler: SdkHandler;
}

interface StartOptions extends FakeOptions {
  readonly maxSessions?: number;
  readonly handler?: Partial<SdkHandlerOptions>;
}

async function start({ maxSessions = 10, handler: given, ...fake }: StartOptions = {}) {
  const backend = fakeBackend("b", { tools: ["t"], ...fake });
  const sessions = new SessionManager<EdgeSession>({
    storage: new MemoryStorage(),
    factory: createFactory(),
    backends: () => [backend],
    clock: () => Date.now(),
    logger: SILENT_LOGGER,
    idleTtlMs: 60_000,
    maxSessions,
    drainDeadlineMs: 50,
  });
  const serverInfo = { name: "vmcp", version: "1" };
  const handler = createSdkHandler({ sessions, serverInfo, ...given });
  const server = createServer((request, response) => void handler(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    await sessions.close();
    server.close();
    server.closeAllConnections();
  });
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  const started: Started = { url: `http://127.0.0.1:${port}/mcp`, backend, sessions, handler };
  return started;
}

function identityOf(name: string | string[] | undefined): Identity {
  return typeof name === "string" ? { kind: "verified", issuer: "test", subject: name } : ANONYMOUS;
}

test("a session of someone else answers like an unknown one and is not harmed", async () => {
  const { url } = await start({
    handler: { identify: ({ headers }) => identityOf(headers["x-user"]) },
  });
  const alice = await openRawSession(url, { headers: { "x-user": "alice" } });
  const asBob = { ...alice.headers, "x-user": "bob" };

  const call = await postMessage(url, { jsonrpc: "2.0", id: 1, method: "tools/list" }, asBob);
  const end = await sendRaw(url, { method: "DELETE", headers: asBob });

  expect([call.status, end.status]).toEqual([404, 404]);
  expect(lastMessage(call)).toMatchObject({ id: 1, error: { code: -32_001 } });
  expect(await alice.request("tools/list")).toMatchObject({ result: { tools: [{ name: "t" }] } });
});

test("the identity of a request reaches the backend's connection", async () => {
  const { url, backend } = await start({
    handler: { identify: async ({ headers }) => identityOf(headers["x-user"]) },
  });

  await openRawSession(url, { headers: { "x-user": "alice" } });

  expect(backend.connections[0]?.request.identity).toEqual(identityOf("alice"));
});

test("a session that another edge opened is unknown here", async () => {
  const { url, sessions } = await start();
  const id = await sessions.generate();
  await sessions.createSession(id, { identity: ANONYMOUS, client: CLIENT });

  const answer = await postMessage(
    url,
    { jsonrpc: "2.0", id: 1, method: "tools/list" },
    { "mcp-session-id": id },
  );

  expect(answer.status).toBe(404);
});

test("a client beyond the limit of sessions is told when to come again", async () => {
  const { url } = await start({ maxSessions: 1 });
  await openRawSession(url);

  const refused = await postMessage(url, INITIALIZE);

  expect(refused.status).toBe(503);
  expect(refused.headers["retry-after"]).toBe("30");
  expect(lastMessage(refused)).toMatchObject({ id: 0, error: { code: 503 } });
});

test.for([
  ["another method", { method: "PUT" }, 405],
  ["a body that is no JSON", { method: "POST", body: "{" }, 400],
  ["a batch", { method: "POST", body: `[${JSON.stringify(INITIALIZE)}]` }, 400],
  ["a body over the limit", { method: "POST", body: `"${"x".repeat(2_000)}"` }, 413],
] as const)("%s is refused", async ([, request, status]) => {
  const { url, sessions } = await start({ handler: { maxRequestBytes: 1_000 } });
  const session = await openRawSession(url);
  const headers = {
    ...session.headers,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };

  const answer = await sendRaw(url, { ...request, headers });

  expect(answer.status).toBe(status);
  expect(sessions.sessionCount).toBe(1);
});

test("a revision that nobody speaks is refused within a session", async () => {
  const { url } = await start();
  const session = await openRawSession(url);

  const answer = await postMessage(
    url,
    { jsonrpc: "2.0", id: 1, method: "tools/list" },
    { ...session.headers, "mcp-protocol-version": "1999-01-01" },
  );

  expect(answer.status).toBe(400);
});

test("an unknown revision is answered with the newest that is spoken", async () => {
  const { url, backend } = await start();
  const params = { ...INITIALIZE.params, protocolVersion: "1999-01-01" };

  const answer = await postMessage(url, { ...INITIALIZE, params });

  expect(lastMessage(answer)).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
  expect(backend.connections[0]?.request.client.revision).toBe("2025-11-25");
});

test("a named host and origin are served beside no others", async () => {
  const { url } = await start({
    handler: { allowedHostnames: ["mcp.example"], allowedOriginHostnames: ["app.example"] },
  });
  const named = { host: "mcp.example:80", origin: "https://app.example" };

  const served = await postMessage(url, INITIALIZE, named);
  const loopback = await postMessage(url, INITIALIZE);

  expect([served.status, loopback.status]).toEqual([200, 403]);
});

test("a client that leaves before its session is there is not served later", async () => {
  const release = new AbortController();
  const { url, sessions, backend } = await start({
    beforeConnect: async () => {
      await once(release.signal, "abort");
    },
  });
  const leaving = new AbortController();
  const initialize = fetch(url, {
    method: "POST",
    signal: leaving.signal,
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify(INITIALIZE),
  });
  await waitFor(() => sessions.sessionCount === 1);

  leaving.abort();
  await expect(initialize).rejects.toThrow("aborted");
  await waitFor(() => sessions.sessionCount === 0);
  release.abort();

  await waitFor(() => backend.connections.every(({ isClosed }) => isClosed));
  expect(sessions.sessionCount).toBe(0);
});

test("disposing of the handler ends its sessions and leaves those of others", async () => {
  const { url, sessions, handler, backend } = await start();
  const id = await sessions.generate();
  await sessions.createSession(id, { identity: ANONYMOUS, client: CLIENT });
  const session = await openRawSession(url);
  const stream = await session.openStream();

  await handler[Symbol.asyncDispose]();

  await stream.ended;
  expect(sessions.getMultiSession(id)).toBeDefined();
  expect(sessions.sessionCount).toBe(1);
  expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([false, true]);
});

test("an answer that the backend sends as an error keeps its code, text and data", async () => {
  const { url, backend } = await start({ answer: async () => new Promise(() => {}) });
  const session = await openRawSession(url);
  const params = { name: "t" };
  const call = session.post({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  const sink = await waitFor(() => backend.connections[0]?.sinks.get(1));
  const error = { code: -32_050, message: "own words", data: { a: [1] } };
  const message = { jsonrpc: "2.0", id: 1, error } as const;

  sink.answer({ bytes: Buffer.from(JSON.stringify(message)), message });

  expect(lastMessage(await call)).toEqual(message);
});

test("a call in flight is answered when its session ends", async () => {
  const { url, sessions, backend } = await start({ answer: async () => new Promise(() => {}) });
  const session = await openRawSession(url);
  const params = { name: "t" };
  const call = session.post({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  await waitFor(() => backend.connections[0]?.received.length === 1);

  await sessions.terminate(session.id);

  expect(lastMessage(await call)).toMatchObject({ id: 1, error: { code: -32_603 } });
  const late = await startRaw(url, {
    headers: { ...session.headers, accept: "text/event-stream" },
  });
  expect(late.status).toBe(404);
});
