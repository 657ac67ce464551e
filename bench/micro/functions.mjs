// The functions of a call that touch nothing but memory, as they are built, on inputs as calls bring them.
import { createHash } from "node:crypto";
import { policyFunctions } from "./policy.mjs";

const DIST = new URL("../../dist/", import.meta.url);
const BACKENDS = 20;
const TOOLS = 200;
const FULL_LIST = BACKENDS * TOOLS;

/** `{name, bytes, run}` each: `run` does the thing once and returns something that depends on it. */
export async function microFunctions() {
  const [inbound, spans, sse, views, pages, settings, deadlines, routes, names] = await Promise.all(
    [
      "mcp/inbound-message.js",
      "mcp/json-spans.js",
      "mcp/sse.js",
      "session/view.js",
      "session/list-pages.js",
      "aggregation/settings.js",
      "lib/deadlines.js",
      "session/session-routes.js",
      "domain/ids.js",
    ].map(async (file) => import(new URL(file, DIST).href)),
  );
  const sources = Array.from({ length: BACKENDS }, (_value, index) => ({
    backend: names.parseBackendName(`b${index + 1}`),
    capabilities: capabilities(),
  }));
  const view = new views.Views(settings.DEFAULT_SETTINGS).of(sources);
  return [
    ...parsing(inbound),
    ...splicing(spans),
    ...routing(inbound, routes, view),
    ...listing(views, settings, pages, view, sources),
    ...streaming(sse),
    ...waiting(deadlines),
    ...(await proving()),
    ...(await policyFunctions()),
  ];
}

/** What finding out who sends a request costs when its proof was verified before. */
async function proving() {
  const [{ ProofMemory }, { ApiKeys }, { bearerOf }, { isSameIdentity }] = await Promise.all(
    [
      "auth/incoming/proof-memory.js",
      "auth/incoming/api-keys.js",
      "auth/incoming/presented-proof.js",
      "domain/identity.js",
    ].map(async (file) => import(new URL(file, DIST).href)),
  );
  const identity = { kind: "verified", issuer: "https://idp.example", subject: "alice" };
  const token = "x".repeat(800);
  const request = { headers: { authorization: `Bearer ${token}` }, url: "/mcp" };
  const memory = new ProofMemory();
  for (let count = 0; count < 1_000; count += 1) {
    memory.remember(`${token}${count}`, identity, Number.POSITIVE_INFINITY, memory.generation);
  }
  memory.remember(token, identity, Number.POSITIVE_INFINITY, memory.generation);
  const keys = Array.from({ length: 10 }, (_value, index) => {
    const sha256 = createHash("sha256").update(`key-${index}`).digest("hex");
    return { id: `k${index}`, sha256, subject: `s${index}`, scopes: [] };
  });
  const apiKeys = new ApiKeys({ keys, isClientBound: false });
  const withKey = { headers: { "x-api-key": "key-5" }, url: "/mcp" };
  const renewed = { ...identity };
  return [
    {
      name: "recall a token of 800 characters among 1,001",
      run: () => memory.find(bearerOf(request)).subject.length,
    },
    { name: "find an API key among 10", run: () => apiKeys.recall(withKey).subject.length },
    {
      name: "compare the owner of a session with a renewed proof",
      run: () => Number(isSameIdentity(identity, renewed)),
    },
  ];
}

function parsing({ parseInbound, DEFAULT_MESSAGE_LIMITS }) {
  return [
    ["200 B", 200],
    ["10 KB", 10_240],
    ["1 MB", 1_048_576],
  ].map(([size, length]) => {
    const bytes = callOf("b7_tool_100", length);
    const run = () => parseInbound(bytes, DEFAULT_MESSAGE_LIMITS).kind;
    return { name: `read the envelope of a call with ${size}`, bytes: bytes.length, run };
  });
}

function splicing({ scanMembers, spliceBytes }) {
  const bytes = callOf("b7_tool_100", 200);
  const params = bytes.indexOf('{"name"');
  const [{ valueStart, valueEnd }] = scanMembers(bytes, params);
  const edit = [{ start: valueStart, end: valueEnd, replacement: '"tool_100"' }];
  return [
    { name: "find the members of params, 200 B", run: () => scanMembers(bytes, params).length },
    { name: "put another name into the bytes, 200 B", run: () => spliceBytes(bytes, edit).length },
  ];
}

function routing({ parseInbound, DEFAULT_MESSAGE_LIMITS }, { SessionRoutes }, view) {
  const session = new SessionRoutes();
  const request = parseInbound(callOf("b7_tool_100", 200), DEFAULT_MESSAGE_LIMITS);
  const lookup = () => view.aggregate.table.tools.get(request.params.name).backend.length;
  return [
    { name: `look a name up among ${FULL_LIST}`, run: lookup },
    {
      name: "find the route of a call and its new bytes, 200 B",
      run: () => session.target(view, request, noStandings).bytes.length,
    },
  ];
}

function listing({ Views }, { DEFAULT_SETTINGS }, { toListPages }, view, sources) {
  const jsons = view.aggregate.tools.map(({ json }) => json);
  const { nextCursor } = JSON.parse(view.lists.tools.first.toString());
  return [
    {
      name: "the second page of a list, by its cursor",
      run: () => view.lists.tools.at(nextCursor).length,
    },
    {
      name: `prepare the pages of ${FULL_LIST} tools`,
      run: () => toListPages("tools", jsons).first.length,
    },
    {
      name: `aggregate ${BACKENDS} backends × ${TOOLS} tools`,
      run: () => new Views(DEFAULT_SETTINGS).of(sources).lists.tools.first.length,
    },
  ];
}

function streaming({ SseParser, formatSseEvent }) {
  const data = Buffer.from(
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      result: { content: [{ type: "text", text: "x".repeat(200) }] },
    }),
  );
  const event = Buffer.from(`event: message\ndata: ${data.toString()}\n\n`);
  const twenty = Buffer.concat(Array.from({ length: 20 }, () => event));
  const parser = new SseParser({ maxEventBytes: 1_048_576 });
  return [
    { name: "read one event, 200 B", run: () => parser.push(event).length },
    { name: "read 20 events of one chunk, 200 B each", run: () => parser.push(twenty).length },
    {
      name: "write one event, 200 B",
      run: () => formatSseEvent({ event: "message", data }).length,
    },
  ];
}

function waiting({ Deadlines }) {
  const empty = new Deadlines();
  const full = new Deadlines();
  // An hour: none comes due while the clock runs.
  for (let count = 0; count < 10_000; count += 1) full.add(3_600_000 + count, noop);
  return [
    { name: "set a deadline and call it off", run: addAndCancel(empty) },
    { name: "the same beside 10,000 others", run: addAndCancel(full) },
  ];
}

function addAndCancel(wheel) {
  return () => {
    const deadline = wheel.add(120_000, noop);
    deadline.cancel();
    return wheel.size;
  };
}

function callOf(name, length) {
  const params = { name, arguments: { text: "x".repeat(length) } };
  return Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 12_345, method: "tools/call", params }));
}

function capabilities() {
  const tools = Array.from({ length: TOOLS }, (_value, index) => toolOf(`tool_${index + 1}`));
  const hash = createHash("sha256").update(JSON.stringify(tools)).digest("base64url");
  return { hash, tools, prompts: [], resources: [], resourceTemplates: [] };
}

function toolOf(name) {
  const value = {
    name,
    description: "One of many tools. ".repeat(10).trim(),
    inputSchema: {
      type: "object",
      properties: { text: { type: "string", description: "Any text." } },
    },
  };
  return { kind: "tool", key: name, json: JSON.stringify(value), value };
}

function noStandings() {
  return [];
}

function noop() {}
