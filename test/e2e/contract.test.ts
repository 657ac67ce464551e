import type { IncomingMessage, ServerResponse } from "node:http";
import { request as httpRequest } from "node:http";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { rawAt } from "../support/raw-json.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  JSON_AND_EVENTS,
  lastMessage,
  openRawSession,
  postMessage,
  sendBytes,
  sendRaw,
  type RawAnswer,
  type RawRequest,
  type RawSession,
} from "../support/raw-client.ts";

const REQUEST_BYTES = 64 * 1024;
const HEADER_BYTES = 16 * 1024;
const UNKNOWN_SESSION = "00000000-0000-4000-8000-000000000000";
const INITIALIZE_PARAMS = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "contract", version: "1" },
} as const;

/** What an answer comes to: `id` is undefined where the answer must not have one. */
interface Expected {
  readonly status: number;
  readonly code?: number;
  readonly id?: string | number;
  readonly headers?: Readonly<Record<string, string>>;
}

let backend: HttpLedger;
let gateway: Gateway;
let session: RawSession;

beforeAll(async () => {
  backend = await startHttpLedger({
    resources: ['{"uri":"docs://1","name":"one"}'],
    prompts: ['{"name":"greet"}'],
  });
  const second = { name: "b2", url: backend.url };
  gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }, second],
    aggregation: { conflictResolution: "prefix" },
    limits: { requestBytes: REQUEST_BYTES, headerBytes: HEADER_BYTES },
  });
  session = await openRawSession(gateway.url);
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await backend.close();
});

function expectAnswer(answer: RawAnswer, expected: Expected): void {
  expect(answer.status).toBe(expected.status);
  expect(answer.headers).toMatchObject(expected.headers ?? {});
  expect(errorCodeOf(answer)).toBe(expected.code);
  // Absent, and never null: a client that sent no usable id cannot match one.
  expect(idOf(answer)).toBe(expected.id === undefined ? undefined : JSON.stringify(expected.id));
}

function errorCodeOf({ text }: RawAnswer): number | undefined {
  return text === "" ? undefined : JSON.parse(text).error?.code;
}

/** The id's own text, so that `"1"` is not taken for `1`. */
function idOf({ text }: RawAnswer): string | undefined {
  return text === "" ? undefined : rawAt(text, ["id"]);
}

/** A POST of `ping` in the session, changed as the row says; an empty header value takes the header away. */
function post(
  headers: Readonly<Record<string, string>> = {},
  body = '{"jsonrpc":"2.0","id":"p","method":"ping"}',
): RawRequest {
  const all = {
    "content-type": "application/json",
    accept: JSON_AND_EVENTS,
    ...session.headers,
    ...headers,
  };
  const kept = Object.entries(all).filter(([, value]) => value !== "");
  return { method: "POST", headers: Object.fromEntries(kept), body };
}

function call(method: string, params?: JsonObject | string): string {
  const given = params === undefined ? "" : `,"params":${asJson(params)}`;
  return `{"jsonrpc":"2.0","id":"p","method":"${method}"${given}}`;
}

function asJson(value: JsonObject | string): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

describe("requests that are refused by their headers", () => {
  test.for<[string, () => RawRequest, Expected]>([
    ["a foreign Host", () => post({ host: "evil.example" }), { status: 403, code: -32_600 }],
    [
      "a foreign Origin",
      () => post({ origin: "https://evil.example" }),
      { status: 403, code: -32_600 },
    ],
    ["the Origin null", () => post({ origin: "null" }), { status: 403, code: -32_600 }],
    [
      "another content type",
      () => post({ "content-type": "text/plain" }),
      { status: 415, code: -32_600 },
    ],
    ["no content type", () => post({ "content-type": "" }), { status: 415, code: -32_600 }],
    ["an encoded body", () => post({ "content-encoding": "gzip" }), { status: 415, code: -32_600 }],
    [
      "JSON alone as acceptable",
      () => post({ accept: "application/json" }),
      { status: 406, code: -32_600, id: "p" },
    ],
    ["nothing acceptable", () => post({ accept: "" }), { status: 406, code: -32_600, id: "p" }],
    [
      "a GET that accepts no events",
      () => ({ headers: { ...session.headers, accept: "application/json" } }),
      { status: 406, code: -32_600 },
    ],
    [
      "an unknown revision",
      () => post({ "mcp-protocol-version": "banana" }),
      { status: 400, code: -32_600, id: "p" },
    ],
    ["no session", () => post({ "mcp-session-id": "" }), { status: 400, code: -32_600, id: "p" }],
    [
      "an unknown session",
      () => post({ "mcp-session-id": UNKNOWN_SESSION }),
      { status: 404, code: -32_001, id: "p" },
    ],
    [
      "__proto__ as session",
      () => post({ "mcp-session-id": "__proto__" }),
      { status: 404, code: -32_001, id: "p" },
    ],
    [
      "a GET of no session",
      () => ({ headers: { accept: "text/event-stream" } }),
      { status: 400, code: -32_600 },
    ],
    [
      "a GET of an unknown session",
      () => ({ headers: { accept: "text/event-stream", "mcp-session-id": UNKNOWN_SESSION } }),
      { status: 404, code: -32_001 },
    ],
    [
      "a GET that resumes what never was",
      () => ({
        headers: { ...session.headers, accept: "text/event-stream", "last-event-id": "7" },
      }),
      { status: 400, code: -32_600 },
    ],
    ["a DELETE of no session", () => ({ method: "DELETE" }), { status: 400, code: -32_600 }],
    [
      "a DELETE of an unknown session",
      () => ({ method: "DELETE", headers: { "mcp-session-id": UNKNOWN_SESSION } }),
      { status: 404, code: -32_001 },
    ],
    [
      "another method",
      () => ({ ...post(), method: "PUT" }),
      { status: 405, headers: { allow: "POST, GET, DELETE" } },
    ],
    ["HEAD", () => ({ method: "HEAD" }), { status: 405, headers: { allow: "POST, GET, DELETE" } }],
  ])("%s", async ([, request, expected]) => {
    const answer = await sendRaw(gateway.url, request());

    expectAnswer(answer, expected);
    expect(backend.ledger.calls).toEqual([]);
  });

  test.for([
    ["POST", "/", 404],
    ["POST", "/mcp/", 404],
    ["POST", "/MCP", 404],
    ["GET", "/metrics", 404],
    ["POST", "/health", 405],
  ] as const)("%s %s gets %i and no body", async ([method, path, status]) => {
    const answer = await sendRaw(new URL(path, gateway.url).href, { method });

    expectAnswer(answer, { status });
    expect(answer.headers["content-length"]).toBe("0");
  });

  test("a query does not change the endpoint", async () => {
    const answer = await sendRaw(`${gateway.url}?a=b`, post());

    expect(answer.status).toBe(200);
  });
});

describe("bodies that are no message", () => {
  test.for<[string, string | Buffer, number, string | number | undefined]>([
    ["half an object", '{"jsonrpc":"2.0"', -32_700, undefined],
    ["nothing", "", -32_700, undefined],
    ["bad UTF-8", Buffer.from('{"a":"\xff"}', "latin1"), -32_700, undefined],
    ["a batch", `[${call("ping")}]`, -32_600, undefined],
    ["an empty batch", "[]", -32_600, undefined],
    ["a text", '"ping"', -32_600, undefined],
    ["another version", '{"jsonrpc":"1.0","id":7,"method":"ping"}', -32_600, 7],
    ["null as id", '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32_600, undefined],
    ["no method", '{"jsonrpc":"2.0","id":7}', -32_600, undefined],
    ["the method twice", '{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}', -32_600, undefined],
    ["an id of ours", '{"jsonrpc":"2.0","id":"vmcp:1","method":"ping"}', -32_600, "vmcp:1"],
    ["a second initialize", call("initialize", INITIALIZE_PARAMS), -32_600, "p"],
  ])("%s is 400", async ([, body, code, id]) => {
    const answer = await sendRaw(gateway.url, { ...post(), body });

    expectAnswer(answer, { status: 400, code, ...(id !== undefined && { id }) });
    expect(backend.ledger.calls).toEqual([]);
  });
});

describe("messages that are answered in the terms of MCP, with 200", () => {
  test.for<[string, string, number]>([
    ["an unknown method", call("no/such"), -32_601],
    ["a method of an object's prototype", call("constructor"), -32_601],
    ["an unknown tool", call("tools/call", { name: "nope" }), -32_602],
    ["a tool's name at the backend", call("tools/call", { name: "echo" }), -32_602],
    ["no tool", call("tools/call", {}), -32_602],
    ["no params", call("tools/call"), -32_602],
    ["params in a list", call("tools/call", '["b1_echo"]'), -32_602],
    ["arguments in a list", call("tools/call", { name: "b1_echo", arguments: [1] }), -32_602],
    ["an unknown prompt", call("prompts/get", { name: "nope" }), -32_602],
    ["a resource without URI", call("resources/read", {}), -32_602],
    ["an unknown level", call("logging/setLevel", { level: "shout" }), -32_602],
    ["a cursor that nobody gave out", call("tools/list", { cursor: "7" }), -32_602],
    ["an unknown reference", call("completion/complete", { ref: { type: "x" } }), -32_602],
    ["no reference", call("completion/complete", {}), -32_602],
  ])("%s", async ([, body, code]) => {
    const answer = await sendRaw(gateway.url, post({}, body));

    expectAnswer(answer, { status: 200, code, id: "p" });
    expect(backend.ledger.calls).toEqual([]);
  });

  test("arguments that fail the tool's schema are a result that says so, where they are checked [I12]", async () => {
    await using checked = await startGateway({
      backends: [{ name: "b1", url: backend.url, validateArguments: true }],
      operational: { sessionManagementV2: true },
    });
    const own = await openRawSession(checked.url);

    const answer = await own.post(call("tools/call", { name: "echo", arguments: { text: 5 } }));

    expectAnswer(answer, { status: 200, id: "p" });
    expect(lastMessage(answer)).toMatchObject({
      result: {
        isError: true,
        content: [{ type: "text", text: expect.stringContaining("/text") }],
      },
    });
    expect(backend.ledger.calls).toEqual([]);
  });

  test.for([undefined, {}, { protocolVersion: 7 }, { ...INITIALIZE_PARAMS, capabilities: [] }])(
    "initialize with params %j",
    async (params) => {
      const body = call("initialize", params);

      const answer = await sendRaw(gateway.url, post({ "mcp-session-id": "" }, body));

      expectAnswer(answer, { status: 200, code: -32_602, id: "p" });
      expect(answer.headers["mcp-session-id"]).toBeUndefined();
    },
  );

  test("initialize with an unknown revision is answered with our newest", async () => {
    const params = { ...INITIALIZE_PARAMS, protocolVersion: "1900-01-01" };

    const answer = await postMessage(gateway.url, call("initialize", params));

    expect(lastMessage(answer)).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
    await sendRaw(gateway.url, {
      method: "DELETE",
      headers: { "mcp-session-id": String(answer.headers["mcp-session-id"]) },
    });
  });
});

test.for([
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":404}}',
  '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"b1_count"}}',
  '{"jsonrpc":"2.0","id":999,"result":{}}',
])("%s is accepted with 202 and reaches no backend", async (body) => {
  const answer = await sendRaw(gateway.url, post({}, body));

  expectAnswer(answer, { status: 202 });
  expect(backend.ledger.calls).toEqual([]);
});

test("a session that was ended is unknown", async () => {
  const ended = await openRawSession(gateway.url);

  const first = await ended.delete();
  const second = await ended.delete();
  const ping = await ended.post({ jsonrpc: "2.0", id: "x", method: "ping" });

  expect(first.status).toBe(200);
  expectAnswer(second, { status: 404, code: -32_001 });
  expectAnswer(ping, { status: 404, code: -32_001, id: "x" });
});

test("a second stream of a session is 409, and the first one goes on", async () => {
  const own = await openRawSession(gateway.url);
  const first = await own.openStream();

  const second = await own.openStream();

  expect(second.status).toBe(409);
  backend.change({ tools: ['{"name":"new","inputSchema":{"type":"object"}}'] });
  await waitFor(() => backend.notify("notifications/tools/list_changed") > 0);
  await waitFor(() => first.events.length > 0);
  first.destroy();
  await own.delete();
});

describe("limits, at the limit and one past it", () => {
  test("a body with its length announced", async () => {
    const atLimit = await sendRaw(gateway.url, post(KEEP_ALIVE, paddedPing(REQUEST_BYTES)));
    const past = await sendRaw(gateway.url, post(KEEP_ALIVE, paddedPing(REQUEST_BYTES + 1)));

    expect(atLimit).toMatchObject({ status: 200, headers: KEEP_ALIVE });
    expectAnswer(past, { status: 413, code: -32_600, headers: { connection: "close" } });
  });

  test("a body in chunks", async () => {
    const atLimit = await postChunked(paddedPing(REQUEST_BYTES));
    const past = await postChunked(paddedPing(REQUEST_BYTES + 1));

    expect(atLimit).toMatchObject({ statusCode: 200, headers: KEEP_ALIVE });
    expect(past).toMatchObject({ statusCode: 413, headers: { connection: "close" } });
  });

  test("the length alone is enough to be refused, before a byte of the body", async () => {
    const head = `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;

    const answer = await sendBytes(
      gateway.url,
      `${head}Content-Length: ${REQUEST_BYTES + 1}\r\nExpect: 100-continue\r\n\r\n`,
    );

    expect(answer).toMatch(/^HTTP\/1.1 413 /);
  });

  test.for([
    [HEADER_BYTES - 512, 200],
    [HEADER_BYTES, 431],
  ] as const)("a header of %i bytes is %i", async ([bytes, status]) => {
    const answer = await sendBytes(
      gateway.url,
      `GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ${"x".repeat(bytes)}\r\n\r\n`,
    );

    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain("connection: close");
  });

  test.for([
    [64, 200],
    [65, 400],
  ] as const)("JSON of %i levels is %i", async ([depth, status]) => {
    // The envelope and params are two of them.
    const body = call("ping", `{"a":${"[".repeat(depth - 2)}${"]".repeat(depth - 2)}}`);

    const answer = await sendRaw(gateway.url, post({}, body));

    expect(answer.status).toBe(status);
  });

  test.for([
    [256, 200],
    [257, 400],
  ] as const)("an id of %i characters is %i", async ([length, status]) => {
    const id = "i".repeat(length);

    const answer = await sendRaw(gateway.url, post({}, call("ping").replace('"p"', `"${id}"`)));

    expect(answer.status).toBe(status);
    expect(rawAt(answer.text, ["id"])).toBe(status === 200 ? `"${id}"` : undefined);
  });

  test("sessions: one more is 503 with the time to wait, and there is room again after a DELETE", async () => {
    await using small = await startSmall({
      operational: { sessionManagementV2: true, sessions: { maxSessions: 2 } },
    });
    const first = await openRawSession(small.url);
    await openRawSession(small.url);

    const refused = await postMessage(small.url, call("initialize", INITIALIZE_PARAMS));
    await first.delete();
    const admitted = await postMessage(small.url, call("initialize", INITIALIZE_PARAMS));

    expectAnswer(refused, { status: 503, code: 503, id: "p", headers: { "retry-after": "30" } });
    expect(lastMessage(refused)).toMatchObject({
      error: { data: { kind: "too_many_sessions", retryAfterSeconds: 30 } },
    });
    expect(refused.headers["mcp-session-id"]).toBeUndefined();
    expect(admitted.status).toBe(200);
  });

  test.for<[string, VmcpConfigInput["limits"]]>([
    ["of one session", { callsPerSession: 2 }],
    ["of the process", { callsPerProcess: 2 }],
  ])("calls in flight %s: one more is 503", async ([, limits]) => {
    await using small = await startSmall({ limits });
    const own = await openRawSession(small.url);
    const before = backend.ledger.calls.length;
    const flights = [1, 2].map((id) => own.startPost({ ...HANG, id }));
    await waitFor(() => backend.ledger.calls.length === before + 2);

    const refused = await own.post({ ...HANG, id: 3 });
    await own.post(cancellationOf(1));
    await flights[0];
    const count = await own.post({ ...HANG, id: 4, params: { name: "b1_count" } });

    expectAnswer(refused, { status: 503, code: 503, id: 3, headers: { "retry-after": "1" } });
    expect(count.status).toBe(200);
    expect(backend.ledger.calls).toHaveLength(before + 3);
    await own.post(cancellationOf(2));
    await Promise.all(flights);
  });

  test("calls in flight at one backend: one more is that backend's trouble", async () => {
    await using small = await startSmall({ limits: { callsPerBackend: 1 } });
    const own = await openRawSession(small.url);
    const before = backend.ledger.calls.length;
    const flight = own.startPost({ ...HANG, id: 1 });
    await waitFor(() => backend.ledger.calls.length === before + 1);

    const busy = await own.post({ ...HANG, id: 2 });
    const duplicate = await own.post({ ...HANG, id: 1 });

    expectAnswer(busy, { status: 200, code: -32_603, id: 2 });
    expect(lastMessage(busy)).toMatchObject({
      error: {
        data: {
          kind: "backend_busy",
          backend: "b1",
          executionState: "not_executed",
          retryAfterSeconds: 1,
        },
      },
    });
    expectAnswer(duplicate, { status: 400, code: -32_600, id: 1 });
    expect(backend.ledger.calls).toHaveLength(before + 1);
    await own.post(cancellationOf(1));
    await flight;
  });
});

describe("requests that take too long to arrive", () => {
  test.for([
    ["the head", "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"],
    [
      "the body",
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ],
    ["anything at all", ""],
  ] as const)("%s: 408 and the connection closes", async ([, bytes]) => {
    await using quick = await startSmall({
      limits: { headersTimeout: "500ms", bodyTimeout: "500ms" },
    });

    const answer = await sendBytes(quick.url, bytes);

    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer.toLowerCase()).toContain("connection: close");
  });
});

describe("backend trouble is 200, −32603 and data that says what to do", () => {
  const REDIRECT = { status: 307, headers: { location: "http://127.0.0.1:9/" } };

  test.for<[string, (response: ServerResponse) => void, JsonObject]>([
    [
      "a cut connection",
      (response) => response.socket?.destroy(),
      { kind: "backend_closed", executionState: "unknown" },
    ],
    [
      "text that is no message",
      replyWith(200, { "content-type": "application/json" }, "<html>"),
      { kind: "backend_protocol", executionState: "unknown" },
    ],
    [
      "an answer with another id",
      replyWith(
        200,
        { "content-type": "application/json" },
        '{"jsonrpc":"2.0","id":0,"result":{}}',
      ),
      { kind: "backend_protocol", executionState: "unknown" },
    ],
    [
      "a redirect",
      replyWith(REDIRECT.status, REDIRECT.headers),
      { kind: "backend_redirect", executionState: "not_executed" },
    ],
    ["401", replyWith(401), { kind: "backend_auth", executionState: "not_executed" }],
    ["418", replyWith(418), { kind: "backend_http_4xx", executionState: "not_executed" }],
    ["500", replyWith(500), { kind: "backend_http_5xx", executionState: "unknown" }],
    [
      "429",
      replyWith(429, { "retry-after": "7" }),
      { kind: "backend_rate_limited", executionState: "not_executed", retryAfterSeconds: 7 },
    ],
    [
      "more than the limit",
      replyWith(200, { "content-type": "application/json" }, " ".repeat(2 * 1024 * 1024)),
      { kind: "backend_too_large", executionState: "unknown" },
    ],
    ["no answer in time", () => {}, { kind: "backend_timeout", executionState: "unknown" }],
  ])("%s", async ([, misbehave, data]) => {
    await using troubled = await startHttpLedger();
    await using small = await startGateway({
      backends: [{ name: "b1", url: troubled.url, timeouts: { call: "500ms" } }],
      limits: { backendResponseBytes: "1MiB" },
    });
    const own = await openRawSession(small.url);
    troubled.interceptWith((_request: IncomingMessage, body, response) => {
      if (rawAt(body, ["method"]) !== '"tools/call"') return false;
      misbehave(response);
      return true;
    });

    const answer = await own.post({ ...HANG, id: 1, params: { name: "count" } });

    expectAnswer(answer, { status: 200, code: -32_603, id: 1 });
    const { error } = JSON.parse(answer.text);
    expect(error.data).toEqual({ backend: "b1", ...data });
    expect(error.message).toContain('"b1"');
    expect(error.message.length).toBeLessThanOrEqual(300);
    expect(answer.text).not.toContain(String(troubled.port));
    expect(troubled.ledger.calls).toEqual([]);
  });

  test("a backend that is not there was not reached, and that is said of each call", async () => {
    await using gone = await startHttpLedger();
    await using small = await startGateway({ backends: [{ name: "b1", url: gone.url }] });
    const own = await openRawSession(small.url);
    await gone.stopListening();

    const answer = await own.post({ ...HANG, id: 1, params: { name: "count" } });

    expectAnswer(answer, { status: 200, code: -32_603, id: 1 });
    expect(lastMessage(answer)).toMatchObject({
      error: {
        data: { kind: "backend_unreachable", backend: "b1", executionState: "not_executed" },
      },
    });
  });
});

test("/status names no address, header or secret of a backend that fails", async () => {
  await using small = await startGateway({
    backends: [
      {
        name: "down",
        url: "http://127.0.0.1:9/mcp?key=CANARY-query",
        headers: { authorization: "Bearer CANARY-header" },
      },
    ],
  });
  const own = await openRawSession(small.url);
  await small.vmcp.probed();

  const status = await sendRaw(new URL("/status", small.url).href);

  expect(status.status).toBe(200);
  expect(JSON.parse(status.text)).toMatchObject({ backends: [{ name: "down" }], sessions: 1 });
  for (const secret of ["CANARY", "127.0.0.1:9", own.id]) expect(status.text).not.toContain(secret);
});

/** Asked for, so that an answer which closes the connection does so of its own accord. */
const KEEP_ALIVE = { connection: "keep-alive" } as const;

const HANG = { jsonrpc: "2.0", method: "tools/call", params: { name: "b1_hang" } } as const;

/** A ping of exactly so many bytes. */
function paddedPing(bytes: number): string {
  const empty = '{"jsonrpc":"2.0","id":"p","method":"ping","params":{"pad":""}}';
  return empty.replace('"pad":""', `"pad":"${"x".repeat(bytes - empty.length)}"`);
}

function cancellationOf(requestId: number): JsonObject {
  return { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } };
}

/** A gateway of its own in front of the same backend. */
async function startSmall(config: Omit<VmcpConfigInput, "backends">): Promise<Gateway> {
  return startGateway({
    backends: [{ name: "b1", url: backend.url }],
    ...config,
    aggregation: { conflictResolution: "prefix" },
  });
}

function replyWith(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): (response: ServerResponse) => void {
  return (response) => {
    response.writeHead(status, headers).end(body);
  };
}

/** Posts without announcing the length. */
async function postChunked(body: string): Promise<IncomingMessage> {
  const { headers } = post(KEEP_ALIVE);
  const outgoing = httpRequest(gateway.url, {
    method: "POST",
    agent: false,
    headers: { ...headers },
  });
  for (let at = 0; at < body.length; at += 10_000) outgoing.write(body.slice(at, at + 10_000));
  outgoing.end();
  // The emitter's own contract: `response` carries the message.
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  incoming.resume();
  return incoming;
}
