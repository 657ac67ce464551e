import { once } from "node:events";
import { Agent, request as sendRequest, type IncomingMessage } from "node:http";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { textOf } from "../support/clients.ts";
import { openRawRunSession } from "../support/fault-clients.ts";
import { checkHistory, History } from "../support/history.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { noncesOf } from "../support/ledger.ts";
import { processTree, waitFor } from "../support/quiescence.ts";
import {
  JSON_AND_EVENTS,
  lastMessage,
  openRawSession,
  postMessage,
  sendBytes,
  sendRaw,
  type RawSession,
  type RawSessionOptions,
} from "../support/raw-client.ts";
import { resultOf } from "../support/stateless-client.ts";
import { startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";

let backend: HttpLedger;
let vmcp: VmcpProcess;

/** Three processes, on a machine that may do other work. */
const START_TIMEOUT_MS = 60_000;

// One gateway for all: processes take long to start, and sessions keep the tests apart.
beforeAll(async () => {
  backend = await startHttpLedger();
  vmcp = await startVmcp({
    config: {
      backends: [{ name: "b", url: backend.url }],
      operational: { sessionManagementV2: true, sessions: { drainDeadline: "2s" } },
      server: { legacySse: true },
      limits: { headersTimeout: "1s" },
    },
    args: ["--workers", "2"],
    startTimeoutMs: START_TIMEOUT_MS,
  });
}, START_TIMEOUT_MS);

afterAll(async () => {
  await vmcp[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

/** The worker that made a session, from 0: its id says so. */
function ownerOf({ id }: RawSession): number {
  return Number.parseInt(id.slice(0, 2), 16);
}

/** One session of each of two workers. */
async function openPair(
  url: string,
  options: RawSessionOptions = {},
): Promise<readonly [RawSession, RawSession]> {
  const sessions = new Map<number, RawSession>();
  await waitFor(async () => {
    const session = await openRawSession(url, options);
    sessions.set(ownerOf(session), session);
    return sessions.size === 2;
  });
  const [first, second] = [sessions.get(0), sessions.get(1)];
  if (first === undefined || second === undefined) throw new Error("the ids name other workers");
  return [first, second];
}

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly isReused: boolean;
}

/** A client that sends everything over one connection. */
class OneConnection {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = url;
    onTestFinished(() => this.#agent.destroy());
  }

  async start(
    headers: Readonly<Record<string, string>>,
    { method = "POST", body = "" }: { readonly method?: string; readonly body?: string },
  ): Promise<{ readonly answer: IncomingMessage; readonly isReused: boolean }> {
    const outgoing = sendRequest(this.#url, {
      agent: this.#agent,
      method,
      headers: { "content-type": "application/json", accept: JSON_AND_EVENTS, ...headers },
    });
    outgoing.end(body);
    // The emitter's own contract: `response` carries the message.
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    return { answer, isReused: outgoing.reusedSocket };
  }

  async send(session: RawSession, method: string, params: object = {}): Promise<Reply> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 7, method, params });
    const { answer, isReused } = await this.start(session.headers, { body });
    return { status: answer.statusCode ?? 0, text: await readText(answer), isReused };
  }

  async count(session: RawSession): Promise<Reply> {
    return this.send(session, "tools/call", { name: "b_count" });
  }
}

function counted(reply: Reply): unknown {
  // The answer of a tool of the ledger has this shape.
  const { result } = JSON.parse(reply.text) as { result: { content: { text: string }[] } };
  return Number(result.content[0]?.text);
}

test("every session stays with the worker that made it, whatever connection its requests come on", async () => {
  const history = new History("workers");
  const opened = Array.from({ length: 6 }, async () =>
    openRawRunSession({ url: vmcp.url, history, patienceMs: 10_000 }),
  );
  const sessions = await Promise.all(opened);

  await Promise.all(
    sessions.flatMap((session, index) =>
      [0, 1, 2, 3].map(async (turn) =>
        session.call({
          tool: "b_nonce",
          nonce: history.nextNonce(),
          args: turn % 2 === 0 ? {} : { ms: 20 * (index + 1), steps: 2 },
          cancelAfterMs: undefined,
        }),
      ),
    ),
  );
  await Promise.all(sessions.map(async (session) => session.end("delete")));

  const executions = backend.ledger.calls
    .filter(({ nonce }) => history.isOwn(nonce ?? ""))
    .map(({ session, nonce = "" }) => ({
      backend: "b",
      backendSession: session,
      nonce,
    }));
  expect(new Set(sessions.map(({ id }) => id.slice(0, 2)))).toEqual(new Set(["00", "01"]));
  expect(checkHistory(history.events, executions)).toEqual([]);
  expect(history.count("ok")).toBe(24);
});

test("sessions of two workers take turns on one connection", async () => {
  const [first, second] = await openPair(vmcp.url);
  const connection = new OneConnection(vmcp.url);

  const replies: Reply[] = [];
  for (const session of [first, second, second, first, second, first]) {
    // They are on one connection because each waits for the last.
    // oxlint-disable-next-line no-await-in-loop
    replies.push(await connection.count(session));
  }

  expect(replies.map(counted)).toEqual([1, 1, 2, 2, 3, 3]);
  expect(replies.map(({ isReused }) => isReused)).toEqual([false, true, true, true, true, true]);
});

test.for([0, 60_000, 200_000])(
  "a message with %d bytes of padding is forwarded, and its connection used again",
  async (size) => {
    const [first, second] = await openPair(vmcp.url);
    const connection = new OneConnection(vmcp.url);
    await connection.count(first);
    const params = { name: "b_count", _meta: { padding: "x".repeat(size) } };

    const replies = [
      await connection.send(second, "tools/call", params),
      await connection.send(second, "tools/call", params),
    ];

    expect(replies.map(counted)).toEqual([1, 2]);
    expect(replies.map(({ isReused }) => isReused)).toEqual([true, true]);
  },
);

test("an answer in events is forwarded as it comes", async () => {
  const [first, second] = await openPair(vmcp.url, { capabilities: { roots: {} } });
  const connection = new OneConnection(vmcp.url);
  await connection.count(first);

  const { answer, isReused } = await connection.start(second.headers, {
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 7,
      method: "tools/call",
      params: { name: "b_ask", arguments: { method: "roots/list" } },
    }),
  });
  const received = receive(answer);
  // The call ends only when the client has answered what came in the middle of it.
  const event = await waitFor(() => /^data: ?(?<json>.*"roots\/list".*)$/m.exec(received()));
  // An event with a request in it.
  const asked = JSON.parse(event.groups?.["json"] ?? "") as { id: string | number };
  await second.post({ jsonrpc: "2.0", id: asked.id, result: { roots: [] } });
  await once(answer, "end");

  expect(isReused).toBe(true);
  expect(answer.headers["content-type"]).toBe("text/event-stream");
  expect(received()).toMatch(/"id":7\b/);
});

test("a stream is forwarded, and ends with its connection", async () => {
  const [first, second] = await openPair(vmcp.url);
  const connection = new OneConnection(vmcp.url);
  await connection.count(first);
  const headers = { ...second.headers, accept: "text/event-stream" };

  const { answer, isReused } = await connection.start(headers, { method: "GET" });
  const received = receive(answer);
  await waitFor(() => backend.openStreams === 1);
  backend.notify("notifications/message", { level: "warning", data: "heard" });
  await waitFor(() => received().includes("heard"));
  const twice = await second.openStream();
  answer.destroy();
  const again = await waitFor(async () => {
    const stream = await second.openStream();
    return stream.status === 200 && stream;
  });
  again.destroy();

  expect(isReused).toBe(true);
  expect(answer.statusCode).toBe(200);
  expect(twice.status).toBe(409);
});

test("a call on a connection of another worker is cancelled, and runs once", async () => {
  const [first, second] = await openPair(vmcp.url);
  const connection = new OneConnection(vmcp.url);
  await connection.count(first);

  const before = backend.ledger.cancellations.length;
  const hanging = connection.start(second.headers, {
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 9,
      method: "tools/call",
      params: { name: "b_hang", arguments: { nonce: "once" } },
    }),
  });
  await waitFor(() => noncesOf(backend.ledger).includes("once"));
  const cancelled = { requestId: 9, reason: "enough" };
  await second.post({ jsonrpc: "2.0", method: "notifications/cancelled", params: cancelled });
  await waitFor(() => backend.ledger.cancellations.length > before);
  const { answer } = await hanging;
  answer.destroy();

  expect(noncesOf(backend.ledger).filter((nonce) => nonce === "once")).toHaveLength(1);
});

test("a session is ended from a connection of another worker, and is unknown everywhere then", async () => {
  const [first, second] = await openPair(vmcp.url);
  const connection = new OneConnection(vmcp.url);
  await connection.count(first);

  const { answer } = await connection.start(second.headers, { method: "DELETE" });
  answer.resume();
  const forwarded = await connection.count(second);
  const handedOver = await second.post({ jsonrpc: "2.0", id: 7, method: "tools/list" });
  const other = await connection.count(first);

  expect(answer.statusCode).toBe(200);
  expect(forwarded.status).toBe(404);
  expect(JSON.parse(forwarded.text)).toEqual(lastMessage(handedOver));
  expect(counted(other)).toBe(2);
});

test.for([
  ["of no worker", "7f9873fe-e76c-4a0d-9749-215302e63334"],
  ["of the first worker", "009873fe-e76c-4a0d-9749-215302e63334"],
  ["of the second worker", "019873fe-e76c-4a0d-9749-215302e63334"],
  ["of another form", "01"],
] as const)("a guessed session id %s is unknown", async ([, id]) => {
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" } as const;

  const answers = await Promise.all(
    [1, 2].map(async () => postMessage(vmcp.url, list, { "mcp-session-id": id })),
  );

  expect(answers.map(({ status }) => status)).toEqual([404, 404]);
  expect(answers.map(lastMessage)).toEqual([
    expect.objectContaining({ id: 1, error: expect.objectContaining({ code: -32_001 }) }),
    expect.objectContaining({ id: 1, error: expect.objectContaining({ code: -32_001 }) }),
  ]);
});

test("clients of HTTP+SSE post to the worker that holds their stream", async () => {
  const clients = await Promise.all(
    [1, 2].map(async () => {
      const outgoing = sendRequest(`${vmcp.origin}/sse`, {
        agent: false,
        headers: { accept: "text/event-stream" },
      });
      outgoing.end();
      // The emitter's own contract: `response` carries the message.
      const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
      onTestFinished(() => void answer.destroy());
      let received = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      const found = await waitFor(() => /data: (?<path>\/messages\S+)/.exec(received));
      return { path: found.groups?.["path"] ?? "", received: () => received };
    }),
  );
  const initialize = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: {
      protocolVersion: "2024-11-05",
      capabilities: {},
      clientInfo: { name: "old", version: "1" },
    },
  };

  const posted = await Promise.all(
    clients.map(async ({ path }) => postMessage(`${vmcp.origin}${path}`, initialize)),
  );
  await waitFor(() => clients.every(({ received }) => received().includes("serverInfo")));

  expect(new Set(clients.map(({ path }) => /sessionId=(..)/.exec(path)?.[1]))).toEqual(
    new Set(["00", "01"]),
  );
  expect(posted.map(({ status }) => status)).toEqual([202, 202]);
});

test.for([
  ["no request at all", "\u0016\u0003\u0001 hello\r\n\r\n", /^HTTP\/1.1 400 /],
  [
    "a head that ends early",
    "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nbad\r\n\r\n",
    /^HTTP\/1.1 400 /,
  ],
  [
    "a head that is too long",
    `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${"x".repeat(20_000)}`,
    /^HTTP\/1.1 431 /,
  ],
  ["a head that does not end", "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", /^HTTP\/1.1 408 /],
] as const)("%s gets the answer that one process gives", async ([, bytes, expected]) => {
  const received = await sendBytes(vmcp.url, bytes);

  expect(received).toMatch(expected);
});

test("a request that comes in many pieces reaches its session", async () => {
  const [first, second] = await openPair(vmcp.url);
  const list = JSON.stringify({ jsonrpc: "2.0", id: "pieces", method: "tools/list" });
  const { hostname, port } = new URL(vmcp.url);

  const answers = await Promise.all(
    [first, second].map(async (session) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      onTestFinished(() => void socket.destroy());
      const text =
        `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n` +
        `Accept: ${JSON_AND_EVENTS}\r\nContent-Length: ${list.length}\r\nMcp-Session-Id: ${session.id}\r\n\r\n${list}`;
      const size = Math.ceil(text.length / 20);
      for (let start = 0; start < text.length; start += size) {
        socket.write(text.slice(start, start + size));
        // Each piece is on its way before the next.
        // oxlint-disable-next-line no-await-in-loop
        await setImmediate();
      }
      return readText(socket);
    }),
  );

  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 200 [^]*"id":"pieces"/);
});

test("a body with a session behind chunks stays in step with what follows on the connection", async () => {
  const [first, second] = await openPair(vmcp.url);
  const list = JSON.stringify({ jsonrpc: "2.0", id: "l", method: "tools/list" });
  const head = (session: RawSession, method: string): string =>
    `${method} /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `Accept: ${JSON_AND_EVENTS}\r\nMcp-Session-Id: ${session.id}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
  const smuggled = `GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
  const requests = [
    `${head(first, "POST")}${chunked(list)}`,
    `${head(second, "POST")}${chunked(list)}`,
    `${head(second, "DELETE")}${chunked(smuggled)}`,
    `${head(first, "POST")}${chunked(list)}`,
  ];

  const received = await sendBytes(
    vmcp.url,
    requests.join(""),
    (text) => text.split("HTTP/1.1 ").length === 5 && text.split('"id":"l"').length === 4,
  );

  expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(Array(4).fill("HTTP/1.1 200"));
  expect(received).not.toContain('"phase"');
});

test("a foreign Host is refused where it arrives", async () => {
  const [, second] = await openPair(vmcp.url);

  const answer = await sendRaw(vmcp.url, {
    method: "DELETE",
    headers: { ...second.headers, host: "evil.example" },
  });
  const after = await second.request("tools/list");

  expect(answer.status).toBe(403);
  expect(after).toHaveProperty("result");
});

// Other systems keep their sockets elsewhere.
test.runIf(process.platform === "linux")(
  "the socket between workers is in a folder of this user's own, and serves nobody without the secret",
  async () => {
    const [session] = await openPair(vmcp.url);
    const folder = folderOf(vmcp.pid);
    const socketPath = join(folder, "0.sock");
    const ask = async (headers: Readonly<Record<string, string>>): Promise<number | undefined> => {
      const outgoing = sendRequest({
        socketPath,
        agent: false,
        path: "/mcp",
        method: "DELETE",
        headers: { host: "127.0.0.1", ...session.headers, ...headers },
      });
      outgoing.end();
      // The emitter's own contract: `response` carries the message.
      const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };

    const statuses = [await ask({}), await ask({ "vmcp-sibling": "x".repeat(43) })];
    const after = await session.request("tools/list");

    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statuses).toEqual([403, 403]);
    expect(after).toHaveProperty("result");
  },
);

test("a connection that breaks before it says anything harms nobody", async () => {
  const { hostname, port } = new URL(vmcp.url);
  const broken = Array.from({ length: 20 }, async (_, index) => {
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    if (index % 2 === 0) socket.write("POST /mcp HT");
    socket.resetAndDestroy();
  });
  await Promise.all(broken);

  const pair = await openPair(vmcp.url);

  expect(pair.map(ownerOf)).toEqual([0, 1]);
});

/** Where the sockets of the workers are: the folder that one of them listens in. */
function folderOf(pid: number): string {
  const workers = new Set(processTree(pid).map((entry) => entry.pid));
  const inodes = new Set(
    [...workers].flatMap((worker) =>
      readdirSync(`/proc/${worker}/fd`).map((fd) => linkOf(`/proc/${worker}/fd/${fd}`)),
    ),
  );
  const sockets = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => inodes.has(`socket:[${fields[6]}]`));
  return dirname(sockets.find((fields) => fields[7]?.endsWith("/0.sock"))?.[7] ?? "");
}

/** Descriptors close while one looks. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function receive(answer: IncomingMessage): () => string {
  let received = "";
  answer.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  return () => received;
}

test("a client that names no session is served by one and the same worker, whichever gets its requests [B17]", async () => {
  const names = ["one", "two", "three", "four"];
  const callAll = async (call: JsonObject): Promise<readonly JsonObject[]> =>
    Promise.all(
      names.map(async (name) => resultOf(`${vmcp.url}/s/${name}`, "tools/call", call, ASKABLE)),
    );
  const count = { name: "b_count", arguments: {} };
  const params = { message: "?", requestedSchema: { type: "object", properties: {} } };
  const question = { name: "b_ask", arguments: { method: "elicitation/create", params } };

  const first = await callAll(count);
  const second = await callAll(count);
  const asked = await callAll(question);
  const answered = await Promise.all(
    asked.map(async ({ requestState = "", inputRequests }, index) => {
      const keys = Object.keys(isJsonObject(inputRequests) ? inputRequests : {});
      const inputResponses = Object.fromEntries(keys.map((key) => [key, { action: "decline" }]));
      const retry = { ...question, requestState, inputResponses };
      return resultOf(`${vmcp.url}/s/${names[index]}`, "tools/call", retry, ASKABLE);
    }),
  );

  expect(first.map(textOf)).toEqual(["1", "1", "1", "1"]);
  expect(second.map(textOf)).toEqual(["2", "2", "2", "2"]);
  expect(answered).toEqual(names.map(() => expect.objectContaining({ resultType: "complete" })));
});

const ASKABLE = { capabilities: { elicitation: {} } };
