import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import {
  callOf,
  connectHttp,
  connectTo,
  untilTestEnds,
} from "../../../test/support/backend/connecting.ts";
import {
  sendJson,
  startHttpBackend,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";

function refusal(status: number, type: string, body: unknown): Reply {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return (response) => void response.writeHead(status, { "content-type": type }).end(text);
}

function rpcError(id: unknown, code: number): object {
  return { jsonrpc: "2.0", id, error: { code, message: "Bad Request" } };
}

/** Ways in which servers say that they do not know a session. */
const REFUSALS: readonly (readonly [string, Reply])[] = [
  ["400 and text", refusal(400, "text/plain", "Bad Request")],
  ["400 and an error for nobody", refusal(400, "application/json", rpcError(null, -32_000))],
  [
    "400 and an error for somebody else",
    refusal(400, "application/json", rpcError("server-error", -32_600)),
  ],
  ["404 and an error for the call", refusal(404, "application/json", rpcError(1, -32_000))],
];

describe.each(REFUSALS)("a call that is refused by %s", (_what, refuse) => {
  test("has met a session that is gone if a ping is refused, too [F3]", async () => {
    const { backend, connection, heard } = await connectTo({
      sessionId: "s1",
      on: { "tools/call": refuse, ping: refuse },
    });
    const recorder = createRecorder();

    connection.forward(callOf(1), recorder);

    expect(await recorder.ended).toMatchObject({
      error: { code: "backend_session_lost", executionState: "not_executed" },
    });
    expect(heard.losses).toHaveLength(1);
    expect(backend.of("ping")[0]?.headers["mcp-session-id"]).toBe("s1");
  });

  test("keeps its session if the backend answers a ping", async () => {
    const { connection, heard } = await connectTo({
      sessionId: "s1",
      on: { "tools/call": refuse },
    });
    const recorder = createRecorder();

    connection.forward(callOf(1), recorder);
    await recorder.ended;

    expect(heard.losses).toEqual([]);
  });

  test("says nothing of a session where there is none, and asks nobody", async () => {
    const { backend, connection, heard } = await connectTo({ on: { "tools/call": refuse } });
    const recorder = createRecorder();

    connection.forward(callOf(1), recorder);
    await recorder.ended;

    expect(heard.losses).toEqual([]);
    expect(backend.of("ping")).toEqual([]);
  });
});

test("many calls that are refused together ask once, and all have met the loss", async () => {
  const refuse = refusal(400, "text/plain", "");
  const { backend, connection, heard } = await connectTo({
    sessionId: "s1",
    on: { "tools/call": refuse, ping: refuse },
  });
  const recorders = Array.from({ length: 20 }, () => createRecorder());

  for (const [index, recorder] of recorders.entries()) connection.forward(callOf(index), recorder);
  const endings = await Promise.all(recorders.map(async ({ ended }) => ended));

  expect(endings.map((ending) => "error" in ending && ending.error.code)).toEqual(
    endings.map(() => "backend_session_lost"),
  );
  expect(backend.of("ping").length).toBeLessThan(20);
  expect(heard.losses).toHaveLength(1);
});

test("a call that does not end by itself after the loss is told so, and not that its own session closed", async () => {
  const { backend, connection } = await connectTo({
    sessionId: "s1",
    on: {
      "tools/call": async (response, seen) => {
        if (seen.message["id"] === 2) await refusal(404, "text/plain", "")(response, seen);
      },
    },
  });
  const [slow, refused] = [createRecorder(), createRecorder()];
  connection.forward(callOf(1), slow);
  await expect.poll(() => backend.of("tools/call").length).toBe(1);
  connection.forward(callOf(2), refused);
  await refused.ended;

  await connection[Symbol.asyncDispose]();

  expect(await slow.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown", backend: "b1" },
  });
});

test("a call that is cancelled while the backend is asked hears nothing more", async () => {
  let answerPing: (() => void) | undefined;
  const { connection } = await connectTo({
    sessionId: "s1",
    on: {
      "tools/call": refusal(400, "text/plain", ""),
      ping: (response, { message }) => {
        const answer = (): void =>
          sendJson(response, { jsonrpc: "2.0", id: message["id"], result: {} });
        if (answerPing === undefined) answerPing = answer;
        else answer();
      },
    },
  });
  const cancelled = createRecorder();
  const other = createRecorder();

  const exchange = connection.forward(callOf(1), cancelled);
  connection.forward(callOf(2), other);
  await expect.poll(() => answerPing).toBeDefined();
  exchange.cancel("nobody waits");
  answerPing?.();

  expect(await other.ended).toMatchObject({ error: { code: "backend_http_4xx" } });
  expect(cancelled.endings).toEqual([]);
});

describe("an attempt to connect that is given up while the backend greets", () => {
  test("ends the session that the backend opens for it all the same [R12]", async () => {
    let greet: (() => void) | undefined;
    const backend = await startHttpBackend({
      on: {
        initialize: (response) => {
          greet = () => {
            response.setHeader("mcp-session-id", "late-1");
            sendJson(response, { jsonrpc: "2.0", id: "vmcp:own:1", result: {} });
          };
        },
      },
    });
    untilTestEnds(backend);
    const connecting = connectHttp(backend.url, { timeouts: { startMs: 200 } });
    const failed = connecting.catch((error: unknown) => error);
    await expect.poll(() => greet).toBeDefined();

    // The start has 200 ms, closing two seconds more: a second from either.
    const timer = setTimeout(() => greet?.(), 1_200);
    const error = await failed;
    clearTimeout(timer);

    expect(error).toMatchObject({ code: "backend_timeout" });
    expect(backend.of("DELETE").map(({ headers }) => headers["mcp-session-id"])).toEqual([
      "late-1",
    ]);
  });

  test("waits no longer than closing may take, and leaves no socket", async () => {
    const backend = untilTestEnds(await startHttpBackend({ on: { initialize: () => {} } }));

    const error = await connectHttp(backend.url, { timeouts: { startMs: 100 } }).catch(
      (thrown: unknown) => thrown,
    );

    expect(error).toMatchObject({ code: "backend_timeout" });
    expect(backend.of("DELETE")).toEqual([]);
    await expect.poll(() => backend.sockets.size).toBe(0);
  });
});

/** A backend of bare TCP that counts the calls it has read, and does with their sockets what it is told. */
async function startTcpCounter(onCall: (socket: Socket, count: number) => void) {
  const sockets: Socket[] = [];
  let calls = 0;
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      const { id, method } = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as {
        readonly id?: unknown;
        readonly method: string;
      };
      if (method === "tools/call") {
        calls += 1;
        onCall(socket, calls);
      } else if (id === undefined)
        socket.write("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
      else socket.write(answerTo(id));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  untilTestEnds({
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
  return { url: `http://127.0.0.1:${address.port}/mcp`, sockets, calls: () => calls };
}

function answerTo(id: unknown): string {
  const serverInfo = { name: "tcp", version: "1" };
  const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo, content: [] };
  const body = JSON.stringify({ jsonrpc: "2.0", id, result });
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

describe("a backend that closes its idle connection", () => {
  test("before the next call is written gets it on a fresh connection, once [F12]", async () => {
    const backend = await startTcpCounter((socket, count) => socket.write(answerTo(count)));
    const { connection } = untilTestEnds(await connectHttp(backend.url));
    const first = createRecorder();
    connection.forward(callOf(1), first);
    await first.answered;
    const before = backend.sockets.length;

    // Its end is on the way, and the gateway has not read of it when it is asked to send the call.
    for (const socket of backend.sockets) socket.resetAndDestroy();
    const second = createRecorder();
    connection.forward(callOf(2), second);
    await second.answered;

    expect(backend.calls()).toBe(2);
    expect(backend.sockets.length).toBe(before + 1);
  });

  test("as it reads the next call leaves it unknown, and does not get it again [F12]", async () => {
    const backend = await startTcpCounter((socket, count) => {
      if (count === 1) socket.write(answerTo(count));
      else socket.destroy();
    });
    const { connection } = untilTestEnds(await connectHttp(backend.url));
    const first = createRecorder();
    connection.forward(callOf(1), first);
    await first.answered;

    const second = createRecorder();
    connection.forward(callOf(2), second);

    expect(await second.ended).toMatchObject({
      error: { code: "backend_closed", executionState: "unknown" },
    });
    expect(backend.calls()).toBe(2);
  });
});
