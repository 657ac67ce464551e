import type { ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { callOf, connectHttp, type Connected } from "../../../test/support/backend/connecting.ts";
import { startEvents, startHttpBackend } from "../../../test/support/backend/http-backend.ts";
import { createRecorder, type Ending } from "../../../test/support/backend/recorder.ts";
import {
  startSseBackend,
  type SsePost,
  type SseScript,
} from "../../../test/support/backend/sse-backend.ts";
import { freePort } from "../../../test/support/npm-servers.ts";
import type { ExecutionState } from "../../domain/errors.ts";
import type { BackendOptions } from "../options.ts";

const SECRET = "Bearer hunter2-canary";

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup[Symbol.asyncDispose]();
});

async function connectTo(
  script: SseScript,
  options: Partial<BackendOptions> = {},
): Promise<Connected> {
  const backend = await startSseBackend(script);
  cleanups.push(backend);
  const connected = await connectHttp(backend.url, { transport: "sse", ...options });
  cleanups.push(connected);
  return connected;
}

async function callMetBy(
  reply: (post: SsePost) => void,
  options: Partial<BackendOptions> = {},
): Promise<Ending> {
  const { connection } = await connectTo({ on: { "tools/call": reply } }, options);
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  return recorder.ended;
}

function saying(text: string): (response: ServerResponse) => void {
  return (response) => {
    startEvents(response);
    response.write(text);
  };
}

test.for<readonly [string, string, (response: ServerResponse) => void]>([
  ["refuses the stream", "backend_protocol", (response) => response.writeHead(405).end(SECRET)],
  [
    "answers with a page",
    "backend_protocol",
    (response) => response.writeHead(200, { "content-type": "text/html" }).end(SECRET),
  ],
  ["asks for credentials", "backend_auth", (response) => response.writeHead(401).end()],
  ["is broken", "backend_http_5xx", (response) => response.writeHead(503).end(SECRET)],
  [
    "redirects",
    "backend_redirect",
    (response) => response.writeHead(307, { location: "http://127.0.0.1:9/" }).end(),
  ],
  [
    "compresses the stream",
    "backend_protocol",
    (response) =>
      response
        .writeHead(200, { "content-type": "text/event-stream", "content-encoding": "br" })
        .end("x"),
  ],
  ["closes the connection", "backend_closed", (response) => response.destroy()],
  [
    "ends the stream at once",
    "backend_closed",
    (response) => (startEvents(response), response.end()),
  ],
  ["begins with a message", "backend_protocol", saying('data: {"jsonrpc":"2.0","id":1}\n\n')],
  ["names no address", "backend_protocol", saying("event: endpoint\ndata:\n\n")],
  ["never says where to send messages", "backend_timeout", saying(": wait\n\n")],
  ["never answers", "backend_timeout", () => {}],
  ["begins with an endless line", "backend_too_large", saying("x".repeat(200_000))],
])("a backend that %s is not connected", async ([, code, get]) => {
  const connecting = connectTo(
    { get },
    { timeouts: { startMs: 400 }, limits: { sseEventBytes: 100_000 } },
  );

  await expect(connecting).rejects.toMatchObject({
    code,
    executionState: "not_executed",
    backend: "b1",
    message: expect.not.stringMatching(/hunter2|127\.0\.0\.1|messages\?/),
  });
});

test.for<readonly [string, (port: number) => string]>([
  ["another port", (port) => `http://127.0.0.1:${port}/msg`],
  ["the same host by another name", (port) => `//localhost:${port}/msg`],
])("an address for messages on %s is refused, and nothing is sent there", async ([, toAddress]) => {
  const trap = await startHttpBackend();
  cleanups.push(trap);
  const trapPort = Number(new URL(trap.url).port);
  const backend = await startSseBackend({ address: () => toAddress(trapPort) });
  cleanups.push(backend);

  const connecting = connectHttp(backend.url, {
    transport: "sse",
    headers: { Authorization: SECRET },
  });

  await expect(connecting).rejects.toMatchObject({
    code: "backend_protocol",
    executionState: "not_executed",
  });
  expect(trap.sockets.size).toBe(0);
  expect(trap.seen).toEqual([]);
  expect(backend.of("POST")).toEqual([]);
  await expect.poll(() => backend.streams.size).toBe(0);
});

test.for(["/elsewhere", "http://127.0.0.1:9/messages"])(
  "a second address for messages, %s, changes nothing",
  async (address) => {
    const { connection } = await connectTo({
      on: {
        "tools/call": (post) => {
          post.accept();
          post.stream.write(`event: endpoint\ndata: ${address}\n\n`);
          post.answer();
        },
      },
    });
    const [first, second] = [createRecorder(), createRecorder()];

    connection.forward(callOf(1), first);
    await first.answered;
    connection.forward(callOf(2), second);

    expect(await second.ended).toHaveProperty("answer");
  },
);

test("a port where nobody listens cannot be reached", async () => {
  const port = await freePort();

  const connecting = connectHttp(`http://127.0.0.1:${port}/sse`, { transport: "sse" });

  await expect(connecting).rejects.toMatchObject({
    code: "backend_unreachable",
    executionState: "not_executed",
  });
});

test.for<readonly [string, string, ExecutionState, (post: SsePost) => void]>([
  [
    "refuses the request",
    "backend_http_4xx",
    "not_executed",
    ({ response }) => response.writeHead(400).end(SECRET),
  ],
  [
    "refuses the credentials",
    "backend_auth",
    "not_executed",
    ({ response }) => response.writeHead(403).end(SECRET),
  ],
  [
    "limits the rate",
    "backend_rate_limited",
    "not_executed",
    ({ response }) => response.writeHead(429).end(),
  ],
  [
    "redirects the request",
    "backend_redirect",
    "not_executed",
    ({ response }) => response.writeHead(308, { location: "http://127.0.0.1:9/" }).end(),
  ],
  [
    "fails with a stack",
    "backend_http_5xx",
    "unknown",
    ({ response }) => response.writeHead(500).end(`at /srv/x.js ${SECRET}`),
  ],
  [
    "closes the connection of the request",
    "backend_closed",
    "unknown",
    ({ response }) => response.destroy(),
  ],
  [
    "answers with an event over the cap",
    "backend_too_large",
    "unknown",
    ({ stream }) => stream.write(`data: ${"x".repeat(200_000)}\n\n`),
  ],
  [
    "answers with a null result",
    "backend_protocol",
    "executed",
    (post) => post.say({ jsonrpc: "2.0", id: 1, result: null }),
  ],
  [
    "answers with neither result nor error",
    "backend_protocol",
    "unknown",
    (post) => post.say({ jsonrpc: "2.0", id: 1 }),
  ],
  [
    "says nothing but garbage",
    "backend_protocol",
    "unknown",
    ({ stream }) => stream.write("data: {}\n\n".repeat(101)),
  ],
])("a backend that %s", async ([, code, executionState, reply]) => {
  const ending = await callMetBy(reply, { limits: { sseEventBytes: 100_000 } });

  expect(ending).toMatchObject({
    error: {
      code,
      executionState,
      backend: "b1",
      message: expect.not.stringMatching(/hunter2|srv|127\.0\.0\.1|session=/),
    },
  });
});

test("what is no message, has odd ids or another's id harms no call", async () => {
  const ending = await callMetBy((post) => {
    post.accept();
    post.stream.write("id: 1\0\nretry: 99999999999\ndata: {}\n\nretry: -5\ndata: nonsense\n\n");
    post.stream.write(Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a]));
    post.say({ jsonrpc: "2.0", id: "1", result: { content: ["forged"] } });
    post.say({ jsonrpc: "2.0", id: 2, result: {} });
    post.answer({ content: [] });
    post.answer({ content: ["second"] });
  });

  expect(ending).toMatchObject({ answer: { message: { id: 1, result: { content: [] } } } });
});

test("an event cut into single bytes arrives byte for byte", async () => {
  const value = '{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890,"t":"é✓🎉"}}';

  const ending = await callMetBy(({ accept, stream }) => {
    accept();
    stream.socket?.setNoDelay(true);
    for (const byte of Buffer.from(`data: ${value}\n\n`)) stream.write(Buffer.from([byte]));
  });

  expect("answer" in ending && ending.answer.bytes.toString()).toBe(value);
});

test("an accepted request whose body never ends takes no connection for long", async () => {
  const closed: string[] = [];

  const ending = await callMetBy((post) => {
    post.response.once("close", () => closed.push("closed"));
    post.response.writeHead(202).write("Accepted, and");
    post.answer();
  });

  expect(ending).toHaveProperty("answer");
  await expect.poll(() => closed).toEqual(["closed"]);
});
