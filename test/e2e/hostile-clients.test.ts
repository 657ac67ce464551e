import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { HAS_PROC, openSockets, waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, sendBytes, type RawSession } from "../support/raw-client.ts";

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

/** Two for the victim, who holds a session all along, and what the tests of this file need at one time. */
let backend: HttpLedger;
let gateway: Gateway;
let victim: RawSession;

beforeAll(async () => {
  backend = await startHttpLedger({
    tools: ['{"name":"hidden","inputSchema":{"type":"object"}}'],
    prompts: ['{"name":"secret"}', '{"name":"open"}'],
  });
  gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    aggregation: {
      conflictResolution: "prefix",
      tools: [{ workload: "b1", filter: ["echo", "count", "raw", "slow", "ask"] }],
      prompts: [{ workload: "b1", filter: ["open"] }],
    },
    limits: { requestBytes: "1MiB" },
  });
  victim = await openRawSession(gateway.url, { capabilities: { sampling: {} } });
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await backend.close();
});

/** One request as bytes; the body's length is announced unless the headers say how it ends. */
function bytesOf(
  requestLine: string,
  headers: readonly string[] = [],
  body: string | Buffer = "",
): Buffer {
  const isChunked = headers.some((line) => line.startsWith("Transfer-Encoding"));
  const length = isChunked ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [`${requestLine} HTTP/1.1`, "Host: localhost", ...headers, ...length];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), Buffer.from(body)]);
}

function sessionHeaders(): readonly string[] {
  return [
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    `Mcp-Session-Id: ${victim.id}`,
  ];
}

/** A POST of the victim's session: what the body alone can do. */
function post(body: string | Buffer, ...more: readonly string[]): Buffer {
  return bytesOf("POST /mcp", [...sessionHeaders(), ...more], body);
}

function closing(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  return Buffer.from(text.replace("Host:", "Connection: close\r\nHost:"), "latin1");
}

/** Every status in what came back, in order; the statuses within bodies are not at the start of a line. */
function statusesOf(received: string): readonly number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

describe("bytes that are no HTTP request get one answer, and the connection closes", () => {
  const HEAD = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";
  const CHUNKED = `${HEAD}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;

  const UNWANTED = `${HEAD}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n`;

  test.for<[string, string | Buffer, number]>([
    ["no Host", "POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400],
    [
      "two Hosts",
      `${HEAD}Host: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      400,
    ],
    [
      "length and chunks",
      `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      "chunks and length",
      `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["two lengths", `${HEAD}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`, 400],
    ["a length below zero", `${HEAD}Content-Length: -1\r\n\r\n`, 400],
    ["a length with a sign", `${HEAD}Content-Length: +4\r\n\r\nabcd`, 400],
    ["a length in hexadecimal", `${HEAD}Content-Length: 0x4\r\n\r\nabcd`, 400],
    ["a length beyond all numbers", `${HEAD}Content-Length: 99999999999999999999999\r\n\r\n`, 400],
    [
      "chunks that are not the last coding",
      `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["chunks twice", `${HEAD}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a chunk of no size", `${CHUNKED}zz\r\n{}\r\n0\r\n\r\n`, 400],
    ["a chunk shorter than it is", `${CHUNKED}1\r\n{}\r\n0\r\n\r\n`, 400],
    ["20 kB of chunk extensions", `${CHUNKED}1;${"a".repeat(20_000)}\r\nx\r\n0\r\n\r\n`, 413],
    [
      "30 kB of trailers",
      `${CHUNKED}1\r\nx\r\n0\r\n${`T: ${"a".repeat(48)}\r\n`.repeat(600)}\r\n`,
      431,
    ],
    [
      "20 kB of chunk extensions in a body that nobody wants",
      `${UNWANTED}1;${"a".repeat(20_000)}\r\nx\r\n0\r\n\r\n`,
      413,
    ],
    [
      "30 kB of trailers of a body that nobody wants",
      `${UNWANTED}1\r\nx\r\n0\r\n${`T: ${"a".repeat(48)}\r\n`.repeat(600)}\r\n`,
      431,
    ],
    ["17 kB of headers", `${HEAD}X-A: ${"a".repeat(17_000)}\r\nContent-Length: 0\r\n\r\n`, 431],
    ["a folded header", `${HEAD}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n`, 400],
    ["a space before the colon", `${HEAD}X-A : b\r\nContent-Length: 0\r\n\r\n`, 400],
    ["a NUL in a header", `${HEAD}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`, 400],
    ["a return in a header", `${HEAD}X-A: a\rX-B: c\r\nContent-Length: 0\r\n\r\n`, 400],
    ["bare line feeds", "POST /mcp HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n", 400],
    ["an unknown method", "FOO /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
    ["HTTP/9.9", "GET /mcp HTTP/9.9\r\nHost: localhost\r\n\r\n", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["TLS", Buffer.from("16030100ff010000fb0303", "hex"), 400],
    ["a tunnel", "CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n", 405],
    [
      "an expectation that nobody can meet",
      `${HEAD}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}`,
      417,
    ],
  ])("%s", async ([, bytes, status]) => {
    const received = await sendBytes(gateway.url, bytes);

    expect(statusesOf(received)).toEqual([status]);
    expect(received.toLowerCase()).toContain("connection: close");
  });
});

describe("whole requests with odd heads", () => {
  test.for<[string, () => Buffer, number]>([
    ["TRACE", () => bytesOf("TRACE /mcp"), 405],
    [
      "an absolute address",
      () => bytesOf("POST http://localhost/mcp", sessionHeaders(), PING),
      404,
    ],
    ["a path that looks like a host", () => bytesOf("POST //evil.example/mcp"), 404],
    ["a way up, encoded", () => bytesOf("GET /mcp/..%2f..%2fadmin/sessions"), 404],
    ["a way up", () => bytesOf("GET /health/../admin"), 404],
    ["an encoded letter", () => bytesOf("POST /%6dcp", sessionHeaders(), PING), 404],
    ["an asterisk", () => bytesOf("OPTIONS *"), 404],
    [
      "an Origin behind 2,100 headers",
      () =>
        bytesOf(
          "POST /mcp",
          [
            ...Array.from({ length: 2_100 }, () => "a:"),
            "Origin: http://evil.example",
            "Content-Type: application/json",
          ],
          PING,
        ),
      403,
    ],
    [
      "two Origins",
      () => post(PING, "Origin: http://localhost", "Origin: http://evil.example"),
      400,
    ],
    ["two sessions", () => post(PING, "Mcp-Session-Id: 00000000-0000-4000-8000-000000000000"), 400],
    [
      "two revisions",
      () => post(PING, "MCP-Protocol-Version: 2025-11-25", "MCP-Protocol-Version: 2025-06-18"),
      400,
    ],
    ["two content types", () => post(PING, "Content-Type: text/plain"), 400],
    ["an Origin with a user", () => post(PING, "Origin: http://localhost@evil.example"), 403],
    [
      "a preflight of a stranger",
      () =>
        bytesOf("OPTIONS /mcp", [
          "Origin: https://evil.example",
          "Access-Control-Request-Method: POST",
        ]),
      403,
    ],
    [
      "a websocket",
      () =>
        bytesOf("GET /mcp", [
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Accept: text/event-stream",
        ]),
      400,
    ],
    ["a stateless revision", () => post(PING, "MCP-Protocol-Version: 2026-07-28"), 400],
    [
      "a stream resumed by 15 kB of id",
      () =>
        bytesOf("GET /mcp", [
          "Accept: text/event-stream",
          `Mcp-Session-Id: ${victim.id}`,
          `Last-Event-ID: ${"9".repeat(15_000)}`,
        ]),
      400,
    ],
  ])("%s", async ([, bytes, status]) => {
    const received = await sendBytes(gateway.url, closing(bytes()));

    expect(statusesOf(received)).toEqual([status]);
    expect(received.toLowerCase()).not.toContain("access-control-allow-origin");
    expect(backend.ledger.calls).toEqual([]);
  });

  test.for([
    "*:{x}%0d%0aFLUSHALL",
    "constructor",
    "../../etc/passwd",
    "s".repeat(8_000),
    "00000000-0000-4000-8000-000000000000, x",
    "'; DROP TABLE sessions; --",
    "\u00e9",
  ])("the session id %j is unknown", async (id) => {
    const headers = [
      "Content-Type: application/json",
      "Accept: application/json, text/event-stream",
      `Mcp-Session-Id: ${id}`,
    ];

    const received = await sendBytes(gateway.url, closing(bytesOf("POST /mcp", headers, PING)));

    expect(statusesOf(received)).toEqual([404]);
    expect(received).toContain('"id":1,"error":{"code":-32001');
    expect(received.split("\r\n\r\n")[1]?.length).toBeLessThan(400);
  });

  test("headers of the client's own reach no backend", async () => {
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_count"}}';
    const own = ["X-Vmcp-User: admin", "Mcp-Init-Host: internal", "X-Auth: Bearer CANARY"];
    const bytes = post(call, ...own, "Cookie: a=CANARY", "X-Forwarded-For: 10.0.0.1");

    const received = await sendBytes(gateway.url, closing(bytes));

    expect(statusesOf(received)).toEqual([200]);
    const sent = JSON.stringify(backend.ledger.calls.at(-1)?.headers).toLowerCase();
    for (const name of ["x-vmcp-user", "mcp-init-host", "canary", "x-forwarded-for", "cookie"]) {
      expect(sent).not.toContain(name);
    }
    backend.ledger.calls.length = 0;
  });
});

describe("bodies", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);

  test.for<[string, string | Buffer, number, number]>([
    ["a byte-order mark", `\uFEFF${PING}`, 400, -32_700],
    ["UTF-16", Buffer.from(PING, "utf16le"), 400, -32_700],
    [
      "a byte that UTF-8 does not have",
      Buffer.from(PING.replace("ping", "p\xffng"), "latin1"),
      400,
      -32_700,
    ],
    [
      "an overlong character",
      Buffer.from(PING.replace("ping", "\xc0\xafping"), "latin1"),
      400,
      -32_700,
    ],
    ["two messages", `${PING}\n${PING}`, 400, -32_700],
    ["NaN", PING.replace(":1,", ":NaN,"), 400, -32_700],
    ["single quotes", PING.replaceAll('"', "'"), 400, -32_700],
    ["a batch behind white space", ` \n [${PING}]`, 400, -32_600],
    ["an infinite id", PING.replace(":1,", ":1e400,"), 400, -32_600],
    ["a nested id", PING.replace(":1,", ":[[1]],"), 400, -32_600],
    ["a huge id", PING.replace(":1,", `:"${"i".repeat(900_000)}",`), 400, -32_600],
    [
      "the tool twice",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_count","name":"hidden"}}',
      400,
      -32_600,
    ],
    [
      "the tool again in capitals",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_count","Name":"hidden"}}',
      400,
      -32_600,
    ],
    [
      "100,000 levels",
      `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${deep}}}`,
      400,
      -32_600,
    ],
    [
      "an answer that is also an error",
      '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
      400,
      -32_600,
    ],
    ["a huge method", `{"jsonrpc":"2.0","id":1,"method":"${"a".repeat(900_000)}"}`, 200, -32_601],
    ["a method of every object", PING.replace("ping", "toString"), 200, -32_601],
    [
      "a hidden tool",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_hidden"}}',
      200,
      -32_602,
    ],
    [
      "a tool of every object",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"__proto__"}}',
      200,
      -32_602,
    ],
    [
      "half a character as tool",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_\\ud800"}}',
      200,
      -32_602,
    ],
    [
      "params under another name",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017F":{"name":"b1_count"}}',
      200,
      -32_602,
    ],
    [
      "a file",
      '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}',
      200,
      -32_602,
    ],
    [
      "somebody's metadata",
      '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"http://169.254.169.254/"}}',
      200,
      -32_602,
    ],
    [
      "a hidden prompt",
      '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"b1_secret"},"argument":{"name":"a","value":""}}}',
      200,
      -32_602,
    ],
    [
      "a prompt named twice",
      '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"secret","name":"b1_open"},"argument":{"name":"a","value":""}}}',
      200,
      -32_602,
    ],
  ])("%s", async ([, body, status, code]) => {
    const received = await sendBytes(gateway.url, closing(post(body)));

    expect(statusesOf(received)).toEqual([status]);
    const answer = received.slice(received.indexOf("\r\n\r\n") + 4);
    expect(JSON.parse(answer)).toMatchObject({ jsonrpc: "2.0", error: { code } });
    expect(answer.length).toBeLessThan(1_000);
    expect(backend.ledger.calls).toEqual([]);
  });

  test.for<[string, () => Buffer, number]>([
    ["text", () => bytesOf("POST /mcp", ["Content-Type: text/plain"], PING), 415],
    [
      "another charset",
      () => bytesOf("POST /mcp", ["Content-Type: application/json; charset=utf-16"], PING),
      415,
    ],
    [
      "a compressed body",
      () =>
        bytesOf(
          "POST /mcp",
          ["Content-Type: application/json", "Content-Encoding: gzip"],
          gzipSync(Buffer.alloc(10_000_000)),
        ),
      415,
    ],
    ["a megabyte and a byte", () => post(" ".repeat(1024 * 1024 + 1)), 413],
  ])("%s", async ([, bytes, status]) => {
    const received = await sendBytes(gateway.url, closing(bytes()));

    expect(statusesOf(received)).toEqual([status]);
  });

  test("keys that mean something to an object arrive as they are and change nothing here", async () => {
    const args =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"n":12345678901234567890}';

    const answer = await victim.post(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_raw","arguments":${args}}}`,
    );

    expect(lastMessage(answer)).toMatchObject({ result: { content: [{ text: args }] } });
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    backend.ledger.calls.length = 0;
  });

  test("an id that looks like an event makes no second event", async () => {
    const id = '1\r\n\r\ndata: {"jsonrpc":"2.0","id":2,"result":{}}\r\n\r\n';
    const params = {
      name: "b1_slow",
      arguments: { ms: 2, steps: 1 },
      _meta: { progressToken: id },
    };

    const answer = await victim.post({ jsonrpc: "2.0", id, method: "tools/call", params });

    expect(answer.headers["content-type"]).toBe("text/event-stream");
    expect(answer.events).toHaveLength(2);
    expect(lastMessage(answer)).toMatchObject({ id, result: {} });
    backend.ledger.calls.length = 0;
  });

  test("a body of chunks without an end is cut off at the limit", async () => {
    const socket = open(gateway.url);
    const received = collect(socket);
    const headers = [...sessionHeaders(), "Transfer-Encoding: chunked"];
    socket.write(bytesOf("POST /mcp", headers));
    const chunk = `4000\r\n${" ".repeat(0x4000)}\r\n`;
    let written = 0;

    while (!socket.destroyed && written < 64 * 1024 * 1024) {
      written += chunk.length;
      // Each piece waits until there is room for it.
      // oxlint-disable-next-line no-await-in-loop
      if (!socket.write(chunk)) await roomOn(socket);
    }
    await closeOf(socket);

    expect(statusesOf(received())).toEqual([413]);
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });
});

describe("many requests on one connection", () => {
  test("100 at once get 100 answers in order, and what follows that is no request gets none", async () => {
    const pings = Array.from({ length: 100 }, (_value, id) => post(PING.replace(":1,", `:${id},`)));

    const received = await sendBytes(
      gateway.url,
      Buffer.concat([...pings, Buffer.from("GARBAGE\r\n\r\n")]),
    );

    expect(statusesOf(received)).toEqual(Array.from({ length: 100 }, () => 200));
    const ids = [...received.matchAll(/"id":(\d+),"result"/g)].map(([, id]) => Number(id));
    expect(ids).toEqual(Array.from({ length: 100 }, (_value, id) => id));
  });

  test("garbage behind a call that is under way is not taken for its answer", async () => {
    const call =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b1_slow","arguments":{"ms":50}}}';

    const received = await sendBytes(
      gateway.url,
      Buffer.concat([post(call), Buffer.from("GARBAGE\r\n\r\n")]),
    );

    expect(statusesOf(received)).toEqual([200]);
    expect(received).toContain("waited 50 ms");
    backend.ledger.calls.length = 0;
  });

  test.for<[string, () => Buffer, number]>([
    ["a message that is none", () => post("{"), 400],
    [
      "a message of another type",
      () => bytesOf("POST /mcp", ["Content-Type: text/plain"], PING),
      415,
    ],
    ["a message from elsewhere", () => post(PING, "Origin: http://evil.example"), 403],
    ["a message to nowhere", () => bytesOf("POST /nowhere", sessionHeaders(), PING), 404],
    ["a stream that has a body", () => bytesOf("GET /mcp", ["Accept: text/html"], PING), 406],
  ])("after %s the next request is read from its beginning", async ([, bytes, status]) => {
    const received = await sendBytes(gateway.url, Buffer.concat([bytes(), closing(post(PING))]));

    expect(statusesOf(received)).toEqual([status, 200]);
  });

  test("a request hidden in a body that is refused is not answered", async () => {
    const hidden = bytesOf("GET /status").toString("latin1");
    const headers = ["Content-Type: text/plain", "Connection: close"];

    const received = await sendBytes(gateway.url, bytesOf("POST /mcp", headers, hidden));

    expect(statusesOf(received)).toEqual([415]);
  });
});

test("an answer to a request of another session's backend is dropped", async () => {
  const params = { messages: [], maxTokens: 1 };
  const asking = await victim.startPost({
    jsonrpc: "2.0",
    id: 77,
    method: "tools/call",
    params: { name: "b1_ask", arguments: { method: "sampling/createMessage", params } },
  });
  const [asked] = await waitFor(() => (asking.events.length > 0 ? asking.events : undefined));
  const { id } = JSON.parse(asked ?? "");
  const attacker = await openRawSession(gateway.url);

  const forged = await attacker.post({ jsonrpc: "2.0", id, result: { from: "attacker" } });
  const genuine = await victim.post({ jsonrpc: "2.0", id, result: { from: "victim" } });
  await asking.ended;

  expect(forged.status).toBe(202);
  expect(genuine.status).toBe(202);
  expect(JSON.stringify(lastMessage(asking))).toContain("victim");
  expect(JSON.stringify(lastMessage(asking))).not.toContain("attacker");
  await attacker.delete();
  backend.ledger.calls.length = 0;
});

test("cancelling what another session has under way cancels nothing", async () => {
  const call = { name: "b1_slow", arguments: { ms: 100 } };
  const slow = victim.post({ jsonrpc: "2.0", id: "mine", method: "tools/call", params: call });
  await waitFor(() => backend.ledger.calls.length === 1);
  const attacker = await openRawSession(gateway.url);

  const params = { requestId: "mine" };
  await attacker.post({ jsonrpc: "2.0", method: "notifications/cancelled", params });

  expect(lastMessage(await slow)).toMatchObject({ id: "mine", result: {} });
  expect(backend.ledger.cancellations).toEqual([]);
  await attacker.delete();
  backend.ledger.calls.length = 0;
});

describe("when all that is over", () => {
  test("the gateway serves its client as before", async () => {
    const answer = await victim.request("tools/call", {
      name: "b1_echo",
      arguments: { text: "still here" },
    });

    expect(answer).toMatchObject({ result: { content: [{ text: "still here" }] } });
    expect(gateway.vmcp.sessions.sessionCount).toBe(1);
    expect(backend.openSessions).toBe(1);
  });

  test.skipIf(!HAS_PROC)(
    "no connection is left, not even of those who never close theirs",
    async () => {
      const lingering = await Promise.all(
        ["GARBAGE\r\n\r\n", "CONNECT evil:80 HTTP/1.1\r\nHost: x\r\n\r\n"].map(async (bytes) => {
          const socket = open(gateway.url);
          socket.write(bytes);
          const received = collect(socket);
          await waitFor(() => statusesOf(received()).length === 1);
          return socket;
        }),
      );
      const { port } = new URL(gateway.url);

      await expect
        .poll(
          () =>
            openSockets(process.pid).filter(
              ({ localPort, state }) => localPort === Number(port) && state !== "listening",
            ),
          { timeout: 5_000 },
        )
        .toEqual([]);
      for (const socket of lingering) socket.destroy();
    },
  );
});

/** A connection whose own side stays open until the test closes it. */
function open(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  return socket;
}

function collect(socket: Socket): () => string {
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.on("end", () => {});
  return () => received;
}

/** Resolves when the socket takes more, or never will. */
async function roomOn(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once("drain", resolve).once("close", resolve);
  });
}

async function closeOf(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, "close");
}
