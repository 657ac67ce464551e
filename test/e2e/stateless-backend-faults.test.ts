import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { SILENT_LOGGER, type Logger } from "../../src/domain/logger.ts";
import {
  startStatelessBackend,
  type StatelessBackend,
} from "../support/backend/stateless-backend.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  startHttpBackend,
} from "../support/backend/http-backend.ts";
import { discovered } from "../support/backend/stateless-script.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import { answerText, toolCall } from "./protocol-backends.ts";

const SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId";

const QUICK = { failureHandling: { healthCheckInterval: "100ms" }, sessionManagementV2: true };

async function start(): Promise<StatelessBackend> {
  const backend = await startStatelessBackend();
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

/** How often it was asked to tell of changes, so far. */
function listensTo({ methods }: StatelessBackend): number {
  return methods.filter((method) => method === "subscriptions/listen").length;
}

test("a backend that cuts a call gets it once, and the next one is answered without a mark [F1] [F2]", async () => {
  const backend = await start();
  await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
  const session = await openRawSession(gateway.url);

  const waiting = session.post(toolCall("w", "wait"));
  await waitFor(() => backend.state.calls === 1);
  backend.cutConnections();
  const cut = lastMessage(await waiting);
  const next = await session.request("tools/call", { name: "echo", arguments: {} });

  expect(cut).toMatchObject({
    id: "w",
    error: { data: { kind: "backend_closed", executionState: "unknown" } },
  });
  expect(next).toEqual({
    jsonrpc: "2.0",
    id: 1,
    result: { content: [{ type: "text", text: "{}" }] },
  });
  expect(backend.state.calls).toBe(2);
});

test("a backend that was restarted has lost nothing: the next call is answered, without a mark [F3]", async () => {
  const backend = await start();
  const port = Number(new URL(backend.url).port);
  await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
  const session = await openRawSession(gateway.url);
  await session.request("tools/call", { name: "echo", arguments: {} });

  await backend[Symbol.asyncDispose]();
  await using _restarted = await startStatelessBackend({ port });
  const next = await session.request("tools/call", { name: "echo", arguments: {} });

  expect(answerText(next)).toBe("{}");
  expect(JSON.stringify(next)).not.toContain("backend_reinitialized");
});

test("a connection that rested comes back without a mark, as nothing was kept", async () => {
  const backend = await start();
  await using gateway = await startGateway({
    backends: [{ name: "b", url: backend.url, timeouts: { idle: "100ms" } }],
  });
  const session = await openRawSession(gateway.url);
  await session.openStream();
  // The one of the gateway itself, and that of the session, which is gone again soon.
  await waitFor(() => listensTo(backend) === 2 && backend.openListens === 1);

  const next = await session.request("tools/call", { name: "echo", arguments: {} });

  expect(JSON.stringify(next)).not.toContain("backend_reinitialized");
  await waitFor(() => listensTo(backend) === 3);
});

test("a subscription that a new connection is refused is told to its client as an update, which makes it look", async () => {
  const told = new Set(["doc://one", "doc://two"]);
  await using backend = await startHttpBackend({
    on: {
      "server/discover": discovered({
        capabilities: { tools: {}, resources: { subscribe: true } },
      }),
      "tools/list": (response, seen) =>
        sendJson(response, resultFor(seen, { tools: [{ name: "t", inputSchema: {} }] })),
      "resources/list": (response, seen) => {
        const resources = ["doc://one", "doc://two"].map((uri) => ({ uri, name: uri }));
        sendJson(response, resultFor(seen, { resources }));
      },
      "subscriptions/listen": (response, { message }) => {
        const notifications = { resourceSubscriptions: [...told] };
        const params = { _meta: { [SUBSCRIPTION_ID]: message["id"] }, notifications };
        startEvents(response);
        sendEvent(response, {
          jsonrpc: "2.0",
          method: "notifications/subscriptions/acknowledged",
          params,
        });
      },
    },
  });
  const warnings: unknown[] = [];
  const warn: Logger["warn"] = (text, fields) => void warnings.push([text, fields]);
  const timeouts = { idle: "50ms" };
  await using gateway = await startGateway(
    { backends: [{ name: "b", url: backend.url, revision: "2026-07-28", timeouts }] },
    { logger: { ...SILENT_LOGGER, warn } },
  );
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await session.request("resources/subscribe", { uri: "doc://one" });
  await session.request("resources/subscribe", { uri: "doc://two" });
  const standing = gateway.vmcp.sessions.liveSessions()[0];
  await waitFor(() => standing?.backends()[0]?.phase === "resting");

  told.delete("doc://one");
  await session.request("tools/call", { name: "t", arguments: {} });
  await waitFor(() => stream.events.length > 0 && warnings.length > 0);

  expect(stream.events.map((event) => JSON.parse(event))).toEqual([
    { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: "doc://one" } },
  ]);
  expect(warnings).toEqual([
    ["backend no longer tells of resources that were subscribed to", { backend: "b", count: 1 }],
  ]);
});

test("a call that takes too long is broken off, which is all that the backend hears of it [F6]", async () => {
  const backend = await start();
  await using gateway = await startGateway({
    backends: [{ name: "b", url: backend.url, timeouts: { call: "100ms" } }],
  });
  const session = await openRawSession(gateway.url);

  const answer = await session.request("tools/call", { name: "wait", arguments: {} });

  expect(answer).toMatchObject({ error: { data: { kind: "backend_timeout", backend: "b" } } });
  await waitFor(() => backend.state.cancelled === 1);
  expect(backend.methods).not.toContain("notifications/cancelled");
});

test("its health is told by the question that it answers in place of a ping", async () => {
  const backend = await start();
  const port = Number(new URL(backend.url).port);
  await using gateway = await startGateway({
    backends: [{ name: "b", url: backend.url }],
    operational: QUICK,
  });
  const stateOf = (): string | undefined => gateway.vmcp.health()[0]?.state;

  await waitFor(() => stateOf() === "healthy");
  const asked = backend.methods.filter((method) => method === "server/discover").length;
  await waitFor(
    () => backend.methods.filter((method) => method === "server/discover").length > asked + 1,
  );
  await backend[Symbol.asyncDispose]();
  await waitFor(() => stateOf() !== "healthy");
  await using _restarted = await startStatelessBackend({ port });

  await waitFor(() => stateOf() === "healthy");
  expect(backend.methods).not.toContain("ping");
  expect(backend.methods).not.toContain("initialize");
});

test("a backend that becomes one of sessions is met anew by the gateway's next look", async () => {
  const backend = await start();
  const port = Number(new URL(backend.url).port);
  await using gateway = await startGateway({
    backends: [{ name: "b", url: backend.url }],
    operational: QUICK,
  });
  await gateway.vmcp.probed();
  await backend[Symbol.asyncDispose]();
  const initialized: string[] = [];
  const replaced = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => {
      // Each request of a gateway is one JSON-RPC message.
      const { id, method } = JSON.parse(chunk.toString()) as { id?: string; method: string };
      if (method === "server/discover") {
        response.writeHead(400).end();
        return;
      }
      initialized.push(method);
      const serverInfo = { name: "s", version: "1" };
      const capabilities = { tools: {} };
      const greeting = { protocolVersion: "2025-11-25", capabilities, serverInfo };
      const result = method === "initialize" ? greeting : { tools: [], content: [] };
      response.writeHead(id === undefined ? 202 : 200, { "content-type": "application/json" });
      response.end(id === undefined ? "" : JSON.stringify({ jsonrpc: "2.0", id, result }));
    });
    request.resume();
  });
  replaced.listen(port, "127.0.0.1");
  await once(replaced, "listening");
  onTestFinished(async () => {
    replaced.closeAllConnections();
    replaced.close();
  });

  await waitFor(() => initialized.includes("ping"));

  expect((replaced.address() as AddressInfo).port).toBe(port);
  const session = await openRawSession(gateway.url);
  expect(session.initializeAnswer.status).toBe(200);
  expect(initialized.filter((method) => method === "initialize")).toHaveLength(2);
});
