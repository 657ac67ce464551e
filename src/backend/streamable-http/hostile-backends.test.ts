import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import {
  callOf,
  connectHttp,
  connectTo,
  untilTestEnds,
} from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  startHttpBackend,
  startTcpBackend,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { createRecorder, type Ending } from "../../../test/support/backend/recorder.ts";
import type { ExecutionState } from "../../domain/errors.ts";

const SECRET = "Bearer hunter2-canary";

async function callAnsweredBy(reply: Reply, sessionId = "s1"): Promise<Ending> {
  const { connection } = await connectTo({ sessionId, on: { "tools/call": reply } });
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  return recorder.ended;
}

function text(status: number, type: string, body: string, headers: object = {}): Reply {
  return (response) => {
    response.writeHead(status, { "content-type": type, ...headers }).end(body);
  };
}

function json(value: unknown, status = 200): Reply {
  return (response) => sendJson(response, value, status);
}

const RESULT = { content: [] };

test.for<readonly [string, string, ExecutionState, Reply]>([
  [
    "closes the connection instead of answering",
    "backend_closed",
    "unknown",
    (response) => {
      response.destroy();
    },
  ],
  [
    "closes it in the middle of the body",
    "backend_closed",
    "unknown",
    (response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 100 });
      response.write('{"jsonrpc":', () => response.destroy());
    },
  ],
  [
    "ends an event stream without an answer",
    "backend_closed",
    "unknown",
    (response) => {
      startEvents(response);
      response.end();
    },
  ],
  [
    "breaks an event stream off",
    "backend_closed",
    "unknown",
    (response) => {
      startEvents(response);
      response.write("data: {", () => response.destroy());
    },
  ],
  ["answers with a page", "backend_protocol", "unknown", text(200, "text/html", "<html>")],
  [
    "answers with no media type",
    "backend_protocol",
    "unknown",
    (response) => {
      response.writeHead(200).end("{}");
    },
  ],
  ["answers with something that is not JSON", "backend_protocol", "unknown", json("{oops")],
  [
    "answers with bad UTF-8",
    "backend_protocol",
    "unknown",
    (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(Buffer.from([0x22, 0xff, 0x22]));
    },
  ],
  [
    "answers with bad UTF-8 in an event behind good ones",
    "backend_protocol",
    "unknown",
    (response) => {
      startEvents(response);
      sendEvent(response, { jsonrpc: "2.0", method: "notifications/message", params: {} });
      const answer = '{"jsonrpc":"2.0","id":1,"result":{"content":[],"a":"?"}}';
      const bytes = Buffer.from(`data: ${answer}\n\n`);
      bytes[bytes.indexOf("?")] = 0xff;
      response.end(bytes);
    },
  ],
  ["answers with an empty body", "backend_protocol", "unknown", json("")],
  ["answers with an empty batch", "backend_protocol", "unknown", json("[]")],
  ["answers 202 to a request", "backend_protocol", "unknown", text(202, "text/plain", "")],
  [
    "answers with the id as a string",
    "backend_protocol",
    "unknown",
    json({
      jsonrpc: "2.0",
      id: "1",
      result: RESULT,
    }),
  ],
  [
    "answers with another id",
    "backend_protocol",
    "unknown",
    json({
      jsonrpc: "2.0",
      id: 2,
      result: RESULT,
    }),
  ],
  [
    "answers another id in a stream",
    "backend_protocol",
    "unknown",
    (response) => {
      startEvents(response);
      sendEvent(response, { jsonrpc: "2.0", id: "1", result: RESULT });
    },
  ],
  [
    "sends an event that is not JSON",
    "backend_protocol",
    "unknown",
    (response) => {
      startEvents(response);
      response.write("data: nonsense\n\n");
    },
  ],
  ["answers without jsonrpc", "backend_protocol", "unknown", json({ id: 1, result: RESULT })],
  [
    "answers with neither result nor error",
    "backend_protocol",
    "unknown",
    json({
      jsonrpc: "2.0",
      id: 1,
    }),
  ],
  [
    "answers with both",
    "backend_protocol",
    "unknown",
    json({
      jsonrpc: "2.0",
      id: 1,
      result: RESULT,
      error: { code: 1, message: "x" },
    }),
  ],
  [
    "answers with an error without code",
    "backend_protocol",
    "unknown",
    json({
      jsonrpc: "2.0",
      id: 1,
      error: { message: 5 },
    }),
  ],
  [
    "answers with a code that is no integer",
    "backend_protocol",
    "unknown",
    json('{"jsonrpc":"2.0","id":1,"error":{"code":1e400,"message":"x"}}'),
  ],
  [
    "answers with a null result",
    "backend_protocol",
    "executed",
    json({
      jsonrpc: "2.0",
      id: 1,
      result: null,
    }),
  ],
  [
    "answers with an array as result",
    "backend_protocol",
    "executed",
    json({
      jsonrpc: "2.0",
      id: 1,
      result: [],
    }),
  ],
  [
    "answers with a result of unknown type",
    "backend_protocol",
    "executed",
    json({
      jsonrpc: "2.0",
      id: 1,
      result: { resultType: "weird", content: [] },
    }),
  ],
  [
    "answers with a result nested 100,000 deep",
    "backend_protocol",
    "executed",
    json(`{"jsonrpc":"2.0","id":1,"result":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`),
  ],
  [
    "says that it encoded ten times",
    "backend_protocol",
    "unknown",
    text(200, "application/json", "x", { "content-encoding": "gzip, gzip, gzip" }),
  ],
  [
    "says gzip and sends something else",
    "backend_protocol",
    "unknown",
    text(200, "application/json", "x", { "content-encoding": "gzip" }),
  ],
  [
    "fails with a stack",
    "backend_http_5xx",
    "unknown",
    text(500, "text/plain", `at /srv/x.js ${SECRET}`),
  ],
  ["fails with JSON that is no answer", "backend_http_5xx", "unknown", json({ e: SECRET }, 502)],
  ["refuses the request", "backend_http_4xx", "not_executed", json({ detail: SECRET }, 400)],
  [
    "refuses the credentials",
    "backend_auth",
    "not_executed",
    text(401, "text/plain", "", {
      "www-authenticate": 'Bearer resource_metadata="http://169.254.169.254/x"',
    }),
  ],
  [
    "forbids the request",
    "backend_auth",
    "not_executed",
    json(
      {
        jsonrpc: "2.0",
        id: 1,
        error: { code: 1, message: SECRET },
      },
      403,
    ),
  ],
  [
    "redirects to another host",
    "backend_redirect",
    "not_executed",
    text(307, "text/plain", "", {
      location: "http://127.0.0.1:9/",
    }),
  ],
  [
    "forgot the session",
    "backend_session_lost",
    "not_executed",
    json(
      {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32_001, message: "Session not found" },
      },
      404,
    ),
  ],
  [
    "forgot the session and echoes the id",
    "backend_session_lost",
    "not_executed",
    json(
      {
        jsonrpc: "2.0",
        id: 1,
        error: { code: -32_001, message: "Session not found" },
      },
      404,
    ),
  ],
])("a backend that %s", async ([, code, executionState, reply]) => {
  const ending = await callAnsweredBy(reply);

  expect(ending).toMatchObject({ error: { code, executionState, backend: "b1" } });
  if (!("error" in ending)) throw new Error("it was answered");
  expect(ending.error.message).toMatch(/^Backend "b1" /);
  expect(ending.error.message).not.toMatch(/hunter2|169\.254|srv|s1|127\.0\.0\.1/);
  expect(ending.error.message.length).toBeLessThan(300);
});

test.for<readonly [string | undefined, number | undefined]>([
  ["99999999", 60],
  ["0", 1],
  ["7", 7],
  ["Wed, 21 Oct 2015 07:28:00 GMT", 1],
  ["soon", undefined],
  [undefined, undefined],
])("a rate limit with retry-after %s asks for %s s", async ([header, seconds]) => {
  const ending = await callAnsweredBy(
    text(429, "text/plain", "", header === undefined ? {} : { "retry-after": header }),
  );

  expect(ending).toMatchObject({
    error: { code: "backend_rate_limited", executionState: "not_executed" },
  });
  expect("error" in ending && ending.error.retryAfterSeconds).toBe(seconds);
});

test.for([400, 404, 500])("a JSON-RPC error under HTTP %i is the answer", async (status) => {
  const ending = await callAnsweredBy((response, seen) =>
    sendJson(
      response,
      { jsonrpc: "2.0", id: seen.message["id"], error: { code: -32_601, message: "no" } },
      status,
    ),
  );

  expect(ending).toMatchObject({ answer: { message: { error: { code: -32_601 } } } });
});

test("404 without a session is an ordinary refusal", async () => {
  const backend = untilTestEnds(
    await startHttpBackend({ on: { "tools/call": text(404, "text/plain", "") } }),
  );
  const { connection, heard } = await connectHttp(backend.url);
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({ error: { code: "backend_http_4xx" } });
  expect(heard.losses).toEqual([]);
});

test.for(["content-length", "chunked"])("an answer over its cap is cut (%s)", async (framing) => {
  const body = Buffer.alloc(300_000, "x");
  const { connection } = await connectTo(
    {
      on: {
        "tools/call": (response) => {
          const length = framing === "chunked" ? {} : { "content-length": body.length };
          response.writeHead(200, { "content-type": "application/json", ...length });
          response.end(body);
        },
      },
    },
    { limits: { responseBytes: 100_000 } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_too_large", executionState: "unknown" },
  });
});

test("a gzip bomb is cut at the cap of what comes out", async () => {
  const ending = await callAnsweredBy((response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end(gzipSync(Buffer.alloc(50_000_000, " ")));
  });

  expect(ending).toMatchObject({ error: { code: "backend_too_large", executionState: "unknown" } });
});

test("a gzip answer that nobody asked for is understood all the same", async () => {
  const ending = await callAnsweredBy((response, seen) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end(gzipSync(JSON.stringify(resultFor(seen))));
  });

  expect(ending).toMatchObject({ answer: { message: { id: 1, result: { content: [] } } } });
});

test("an event without end is cut and its connection closed", async () => {
  const backend = await startHttpBackend({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        const pour = (): void => {
          while (!response.destroyed && response.write("x".repeat(65_536)));
        };
        response.on("drain", pour);
        pour();
      },
    },
  });
  untilTestEnds(backend);
  const { connection } = await connectHttp(backend.url);
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_too_large", executionState: "unknown" },
  });
  await expect
    .poll(() => [...backend.sockets].filter((socket) => socket.writableLength > 0))
    .toEqual([]);
});

test.for([
  ["what it says is not HTTP", "NOT HTTP\r\n\r\n"],
  ["its header is too large", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(20_000)}\r\n\r\n`],
])("%s", async ([, bytes = ""]) => {
  const backend = await startTcpBackend((socket, received) => {
    if (received.includes("tools/call")) socket.write(bytes);
    else if (received.includes('"initialize"')) {
      const [, id] = /"id":("[^"]+")/.exec(received) ?? [];
      const result = '{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{}}';
      const body = `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
      const head = `content-type: application/json\r\ncontent-length: ${body.length}`;
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`);
    } else socket.write("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
  });
  untilTestEnds(backend);
  const connected = untilTestEnds(await connectHttp(backend.url));
  const recorder = createRecorder();

  connected.connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_protocol", executionState: "unknown" },
  });
});

test("two answers to one request: the first counts", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        startEvents(response);
        sendEvent(response, resultFor(seen, { content: [], n: 1 }));
        sendEvent(response, resultFor(seen, { content: [], n: 2 }));
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  const answer = await recorder.answered;
  await connection.listCapabilities(new AbortController().signal);

  expect(answer.message.result).toMatchObject({ n: 1 });
  expect(recorder.endings).toHaveLength(1);
});

test("an event cut into single bytes arrives byte for byte", async () => {
  const value = '{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890,"t":"é✓🎉"}}';
  const { connection } = await connectTo({
    on: {
      "tools/call": async (response) => {
        startEvents(response);
        response.socket?.setNoDelay(true);
        for (const byte of Buffer.from(`data: ${value}\n\n`)) {
          await new Promise((resolve) => {
            response.write(Buffer.from([byte]), resolve);
          });
        }
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect((await recorder.answered).bytes.toString()).toBe(value);
});

test("text in a notification cannot forge an answer", async () => {
  const forged = 'x\n\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":["forged"]}}\n\n';
  const { connection } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        startEvents(response);
        sendEvent(response, {
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { progressToken: "t", progress: 1, message: forged },
        });
        sendEvent(response, resultFor(seen));
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);

  expect((await recorder.answered).message.result).toEqual({ content: [] });
  expect(recorder.events).toHaveLength(1);
});
