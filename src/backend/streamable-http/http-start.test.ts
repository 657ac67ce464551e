import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { CERTIFICATE, PRIVATE_KEY } from "../../../test/support/backend/certificate.ts";
import {
  callOf,
  connectHttp,
  connectTo,
  untilTestEnds,
} from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendGreeting,
  sendJson,
  startEvents,
  startHttpBackend,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";

test("sessions share connections", async () => {
  const { http, backend } = await connectTo({ sessionId: "s" });
  for (let session = 0; session < 10; session += 1) {
    const { connection } = await connectHttp(backend.url, { http });
    const recorder = createRecorder();
    connection.forward(callOf(1), recorder);
    await recorder.answered;
  }

  expect(backend.sockets.size).toBeLessThanOrEqual(4);
});

test("a port where nobody listens cannot be reached", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");

  const connecting = connectHttp(`http://127.0.0.1:${port}/mcp`);

  await expect(connecting).rejects.toMatchObject({
    code: "backend_unreachable",
    executionState: "not_executed",
    message: 'Backend "b1" cannot be reached (ECONNREFUSED)',
  });
});

test("a name that does not exist cannot be reached", async () => {
  const connecting = connectHttp("http://does-not-exist.invalid/mcp");

  await expect(connecting).rejects.toMatchObject({
    code: "backend_unreachable",
    message: expect.stringMatching(/cannot be reached \((ENOTFOUND|EAI_AGAIN)\)$/),
  });
});

test("a port that does not speak TLS is refused before anything is sent", async () => {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received.push(chunk);
      socket.destroy();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const connecting = connectHttp(`https://127.0.0.1:${port}/mcp`, { headers: { "x-key": "k3y" } });

  await expect(connecting).rejects.toMatchObject({
    code: "backend_tls",
    executionState: "not_executed",
  });
  expect(Buffer.concat(received).toString("latin1")).not.toContain("k3y");
  server.close();
});

test("a certificate is trusted only where its authority is configured", async () => {
  const keys: (string | string[] | undefined)[] = [];
  const server = createTlsServer({ key: PRIVATE_KEY, cert: CERTIFICATE }, (request, response) => {
    keys.push(request.headers["x-key"]);
    void (async () => {
      const message = JSON.parse((await buffer(request)).toString());
      const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: {} };
      if (message.id === undefined) response.writeHead(202).end();
      else sendJson(response, { jsonrpc: "2.0", id: message.id, result });
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}/mcp`;

  const distrusting = connectHttp(url, { headers: { "x-key": "k3y" } });
  await expect(distrusting).rejects.toMatchObject({
    code: "backend_tls",
    executionState: "not_executed",
  });
  const keysBefore = [...keys];
  const trusting = untilTestEnds(
    await connectHttp(url, { headers: { "x-key": "k3y" }, caBundle: CERTIFICATE }),
  );

  expect(keysBefore).toEqual([]);
  expect(trusting.connection.greeting.revision).toBe("2025-11-25");
  expect(keys).toContain("k3y");
  server.close();
});

test.for<readonly [string, Reply, string]>([
  [
    "a page",
    (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<x>"),
    "200 text/html",
  ],
  [
    "nothing there",
    (response) => void response.writeHead(404, { "content-type": "text/plain" }).end("?"),
    "404 text/plain",
  ],
  ["no POST there", (response) => void response.writeHead(405).end(), "405 without a media type"],
  ["JSON of another kind", (response) => sendJson(response, { hello: 1 }), "200 application/json"],
])("a URL that leads to %s is named as no MCP endpoint", async ([, reply, answered]) => {
  const backend = untilTestEnds(await startHttpBackend({ on: { initialize: reply } }));

  const connecting = connectHttp(`${backend.url}?token=s3cret`);

  await expect(connecting).rejects.toMatchObject({
    code: "backend_protocol",
    message: `Backend "b1" at its configured URL does not speak MCP over streamable HTTP (answered ${answered})`,
  });
});

test("a revision that the gateway does not speak is named", async () => {
  const backend = untilTestEnds(await startHttpBackend({ revision: "9999", sessionId: "s" }));

  const connecting = connectHttp(backend.url);

  await expect(connecting).rejects.toMatchObject({
    code: "backend_protocol",
    message: expect.stringContaining('revision "9999"'),
  });
  // What was opened is closed again.
  expect(backend.of("DELETE")).toHaveLength(1);
});

test("a session id that cannot be sent back is refused", async () => {
  const backend = untilTestEnds(await startHttpBackend({ sessionId: "has space" }));

  await expect(connectHttp(backend.url)).rejects.toMatchObject({ code: "backend_protocol" });
});

test("a backend that hangs while starting is given up in time", async () => {
  const backend = untilTestEnds(await startHttpBackend({ on: { initialize: () => {} } }));

  const connecting = connectHttp(backend.url, { timeouts: { startMs: 200 } });

  await expect(connecting).rejects.toMatchObject({ code: "backend_timeout" });
  await expect.poll(() => backend.sockets.size).toBe(0);
});

test("what a backend says before its connection is handed over is heard afterwards", async () => {
  const { connection, heard } = await connectTo({
    on: {
      initialize: (response, seen) => sendGreeting(response, seen, { capabilities: { tools: {} } }),
      "tools/list": (response, seen) => {
        startEvents(response);
        sendEvent(response, { jsonrpc: "2.0", id: 1, method: "roots/list" });
        sendEvent(response, resultFor(seen, { tools: [] }));
        response.end();
      },
    },
  });

  await expect.poll(() => heard.messages.length).toBe(1);

  expect(connection.greeting.capabilities).toEqual({ tools: {} });
  expect(heard.messages[0]?.message.method).toBe("roots/list");
});
