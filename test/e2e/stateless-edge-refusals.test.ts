import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { lastMessage, openRawSession, postMessage, sendRaw } from "../support/raw-client.ts";
import {
  askStateless,
  postStateless,
  REVISION,
  statelessMessage,
  type StatelessOptions,
} from "../support/stateless-client.ts";

const MIRRORING_TOOL = JSON.stringify({
  name: "query",
  inputSchema: {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      limit: { type: "integer", "x-mcp-header": "Limit" },
      nested: {
        type: "object",
        properties: { deep: { type: "boolean", "x-mcp-header": "Deep" } },
      },
    },
  },
});
const VERSION = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";

let ledger: HttpLedger;
let second: HttpLedger;
let gateway: Gateway;
beforeAll(async () => {
  ledger = await startHttpLedger({
    tools: [MIRRORING_TOOL],
    results: new Map([["query", '{"content":[]}']]),
    resources: ['{"name":"a","uri":"test://a"}'],
  });
  second = await startHttpLedger({ resources: ['{"name":"b","uri":"test://b"}'] });
  const backends = [
    { name: "ledger", url: ledger.url },
    { name: "second", url: second.url },
  ];
  gateway = await startGateway({ backends });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await ledger[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

interface Row {
  readonly what: string;
  readonly method?: string;
  readonly params?: JsonObject;
  readonly headers?: StatelessOptions["headers"];
  readonly meta?: JsonObject;
  /** In place of what a client would put there. */
  readonly message?: JsonObject;
  readonly status: number;
  readonly error?: JsonObject;
}

const CALL = { name: "ledger_echo", arguments: {} };

const ROWS: readonly Row[] = [
  { what: "nothing wrong", status: 200 },
  {
    what: "no version header",
    headers: { "mcp-protocol-version": undefined },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "the version of sessions in the header",
    headers: { "mcp-protocol-version": "2025-11-25" },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "no method header",
    headers: { "mcp-method": undefined },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "another method in the header",
    headers: { "mcp-method": "tools/call" },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "the method in another case",
    headers: { "mcp-method": "Tools/List" },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "another name in the header",
    method: "tools/call",
    params: CALL,
    headers: { "mcp-name": "ledger_count" },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "no name header",
    method: "tools/call",
    params: CALL,
    headers: { "mcp-name": undefined },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "a name header that is no Base64",
    method: "tools/call",
    params: CALL,
    headers: { "mcp-name": "=?base64?@@@?=" },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "the name in Base64",
    method: "tools/call",
    params: CALL,
    headers: { "mcp-name": `=?base64?${Buffer.from("ledger_echo").toString("base64")}?=` },
    status: 200,
  },
  {
    what: "no name header for a resource",
    method: "resources/read",
    params: { uri: "test://a" },
    headers: { "mcp-name": undefined },
    status: 400,
    error: { code: -32_020 },
  },
  {
    what: "no _meta",
    message: { jsonrpc: "2.0", id: 1, method: "tools/list" },
    status: 400,
    error: { code: -32_602 },
  },
  {
    what: "no version in _meta",
    message: {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/list",
      params: { _meta: { [CAPABILITIES]: {} } },
    },
    status: 400,
    error: { code: -32_602 },
  },
  {
    what: "no capabilities in _meta",
    message: {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/list",
      params: { _meta: { [VERSION]: REVISION } },
    },
    status: 400,
    error: { code: -32_602 },
  },
  {
    what: "an unknown log level",
    meta: { "io.modelcontextprotocol/logLevel": "loud" },
    status: 400,
    error: { code: -32_602 },
  },
  {
    what: "a revision that is not known",
    meta: { [VERSION]: "2099-01-01" },
    headers: { "mcp-protocol-version": "2099-01-01" },
    status: 400,
    error: { code: -32_022, data: { supported: [REVISION], requested: "2099-01-01" } },
  },
  {
    what: "a revision of sessions in _meta",
    meta: { [VERSION]: "2025-11-25" },
    headers: { "mcp-protocol-version": "2025-11-25" },
    status: 400,
    error: { code: -32_022, data: { supported: [REVISION], requested: "2025-11-25" } },
  },
  { what: "a method that nobody has", method: "no/such", status: 404, error: { code: -32_601 } },
  { what: "initialize", method: "initialize", status: 404, error: { code: -32_601 } },
  { what: "ping", method: "ping", status: 404, error: { code: -32_601 } },
  {
    what: "logging/setLevel",
    method: "logging/setLevel",
    params: { level: "debug" },
    status: 404,
    error: { code: -32_601 },
  },
  {
    what: "resources/subscribe",
    method: "resources/subscribe",
    params: { uri: "test://a" },
    status: 404,
    error: { code: -32_601 },
  },
  {
    what: "an unknown tool",
    method: "tools/call",
    params: { name: "none" },
    status: 200,
    error: { code: -32_602 },
  },
  {
    what: "an unknown resource",
    method: "resources/read",
    params: { uri: "none://x" },
    status: 200,
    error: { code: -32_602, data: { uri: "none://x" } },
  },
  {
    what: "a session id, which means nothing",
    headers: { "mcp-session-id": "stray" },
    status: 200,
  },
  { what: "a last event id, which means nothing", headers: { "last-event-id": "5" }, status: 200 },
  {
    what: "no events accepted",
    headers: { accept: "application/json" },
    status: 406,
    error: { code: -32_600 },
  },
  {
    what: "text in place of JSON",
    headers: { "content-type": "text/plain" },
    status: 415,
    error: { code: -32_600 },
  },
  {
    what: "a session name that is none",
    headers: { "mcp-session-name": "a/b" },
    status: 400,
    error: { code: -32_600 },
  },
];

test.for(ROWS.map((row) => [row.what, row] as const))(
  "a stateless request with %s is answered as the revision says [MO]",
  async ([, { method = "tools/list", params, headers, meta = {}, message, status, error }]) => {
    const sent = message ?? statelessMessage("id", method, params, { meta });

    const answer = await postStateless(gateway.url, sent, headers);

    expect(answer.status).toBe(status);
    expect(answer.headers["mcp-session-id"]).toBeUndefined();
    const told = lastMessage(answer);
    expect(told).toMatchObject(
      error === undefined ? { result: { resultType: "complete" } } : { error },
    );
    expect(told).toMatchObject(status === 415 ? {} : { id: sent["id"] });
  },
);

test.for([
  ["a batch", "[]"],
  ["a batch of one", JSON.stringify([statelessMessage(1, "tools/list")])],
  ["an answer", '{"jsonrpc":"2.0","id":1,"result":{}}'],
  ["no message", "{}"],
] as const)("%s is refused where the header names the revision", async ([, text]) => {
  const headers = { "mcp-protocol-version": REVISION, "mcp-method": "tools/list" };

  const answer = await postMessage(gateway.url, text, headers);

  expect(answer.status).toBe(400);
  expect(lastMessage(answer)).toMatchObject({ error: { code: -32_600 } });
});

test.for([{}, { "mcp-method": "notifications/cancelled" }])(
  "a notification is accepted and ends there, with the headers %j",
  async (headers) => {
    const notification = { jsonrpc: "2.0", method: "notifications/cancelled", params: {} };

    const answer = await postMessage(gateway.url, notification, {
      "mcp-protocol-version": REVISION,
      ...headers,
    });

    expect(answer.status).toBe(202);
    expect(answer.text).toBe("");
  },
);

test("a client that asked for this revision may open a session all the same, with its header still on", async () => {
  await askStateless(gateway.url, "server/discover");

  const session = await openRawSession(gateway.url, {
    headers: { "mcp-protocol-version": REVISION },
  });
  const answer = await session.request("tools/call", { name: "ledger_count" });
  const again = await session.request("initialize", {});
  await session.delete();

  expect(answer).toMatchObject({ result: { content: [{ text: "1" }] } });
  expect(again).toMatchObject({ error: { code: -32_600 } });
});

test("GET and DELETE are for sessions", async () => {
  const get = await sendRaw(gateway.url, {
    headers: { accept: "text/event-stream", "mcp-protocol-version": "2025-11-25" },
  });
  const remove = await sendRaw(gateway.url, { method: "DELETE" });

  expect([get.status, remove.status]).toEqual([400, 400]);
});

describe("arguments that a tool wants in headers", () => {
  const query = (args: JsonObject): JsonObject =>
    statelessMessage(1, "tools/call", { name: "query", arguments: args });

  test.for<[JsonObject, Record<string, string>, number]>([
    [{ region: "eu" }, { "mcp-param-region": "eu" }, 200],
    [{ region: "eu" }, { "MCP-PARAM-REGION": "eu" }, 200],
    [{ region: "Zürich" }, { "mcp-param-region": "=?base64?WsO8cmljaA==?=" }, 200],
    [{ limit: 42 }, { "mcp-param-limit": "42" }, 200],
    [{ limit: 42 }, { "mcp-param-limit": "42.0" }, 200],
    [{ nested: { deep: true } }, { "mcp-param-deep": "true" }, 200],
    [{ region: null }, {}, 200],
    [{}, {}, 200],
    [{}, { "mcp-param-other": "x" }, 200],
    [{ region: "eu" }, { "mcp-param-region": "us" }, 400],
    [{ region: "eu" }, {}, 400],
    [{ region: "eu" }, { "mcp-param-region": "=?base64?@?=" }, 400],
    [{ limit: 42 }, { "mcp-param-limit": "43" }, 400],
    [{ nested: { deep: true } }, { "mcp-param-deep": "TRUE" }, 400],
  ])("%j with the headers %j gets %i", async ([args, headers, status]) => {
    const before = ledger.ledger.calls.length;

    const answer = await postStateless(gateway.url, query(args), headers);

    expect(answer.status).toBe(status);
    expect(lastMessage(answer)).toMatchObject(
      status === 400 ? { error: { code: -32_020 } } : { result: { resultType: "complete" } },
    );
    expect(ledger.ledger.calls.length - before).toBe(status === 200 ? 1 : 0);
  });
});

test.for([
  ["small", ""],
  ["large", "x".repeat(50_000)],
])(
  "big numbers, odd keys and unknown members of %s arguments reach the backend as they were written [B8] [B17]",
  async ([, text]) => {
    const args = `{"n":12345678901234567890,"__proto__":{"a":1e400},"\\u0061":"\\/","t":"${text}"}`;
    const message = statelessMessage(1, "tools/call", { name: "ledger_raw", arguments: {} });
    const body = JSON.stringify(message).replace('"arguments":{}', `"arguments":${args}`);

    const answer = await postMessage(gateway.url, body, {
      "mcp-protocol-version": REVISION,
      "mcp-method": "tools/call",
      "mcp-name": "ledger_raw",
    });

    expect(lastMessage(answer)).toMatchObject({ id: 1, result: { content: [{ text: args }] } });
  },
);
