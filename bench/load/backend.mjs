// A stand-in MCP backend that costs as little as one can: streamable HTTP with sessions, on node:http.
//   node backend.mjs [--port 0] [--answers json|sse]
// Tools: echo {text} → the text; big {bytes} → a text of that size; swallow {text} → the text's length.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { listenAndSay } from "./listen.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    answers: { type: "string", default: "json" },
  },
});

const TOOLS = [
  ["echo", "Returns its text.", { text: { type: "string" } }],
  ["big", "Returns a text of the given size.", { bytes: { type: "integer" } }],
  ["swallow", "Returns the length of its text.", { text: { type: "string" } }],
].map(([name, description, properties]) => ({
  name,
  description,
  inputSchema: { type: "object", properties },
}));

const RUN = new Map([
  ["echo", ({ text }) => text],
  ["big", ({ bytes }) => "x".repeat(bytes)],
  ["swallow", ({ text }) => String(text.length)],
]);

const sessions = new Set();

const server = createServer(
  { keepAliveTimeout: 600_000, requestTimeout: 0 },
  (request, response) => {
    const sessionId = request.headers["mcp-session-id"];
    if (request.method === "POST") {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => post(sessionId, JSON.parse(Buffer.concat(chunks)), response));
      return;
    }
    // No stream of our own: nothing is ever sent outside a call.
    if (request.method === "GET") refuse(response, 405);
    else if (sessions.delete(sessionId)) response.writeHead(200, { "content-length": 0 }).end();
    else refuse(response, 404);
  },
);
listenAndSay(server, options.port, "backend");

function post(sessionId, message, response) {
  if (message.method === "initialize") {
    const id = randomUUID();
    sessions.add(id);
    answer(response, message.id, { result: greeting(message.params) }, { "mcp-session-id": id });
  } else if (!sessions.has(sessionId)) refuse(response, sessionId === undefined ? 400 : 404);
  else if (message.id === undefined) response.writeHead(202).end();
  else answer(response, message.id, outcomeOf(message), {});
}

function greeting({ protocolVersion }) {
  return {
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "stand-in", version: "1.0.0" },
  };
}

function outcomeOf({ method, params }) {
  if (method === "ping") return { result: {} };
  if (method === "tools/list") return { result: { tools: TOOLS } };
  if (method !== "tools/call") return { error: { code: -32_601, message: "Method not found" } };
  const run = RUN.get(params.name);
  if (run === undefined)
    return { error: { code: -32_602, message: `Unknown tool: ${params.name}` } };
  return { result: { content: [{ type: "text", text: run(params.arguments) }] } };
}

function answer(response, id, outcome, headers) {
  const text = JSON.stringify({ jsonrpc: "2.0", id, ...outcome });
  if (options.answers === "sse") {
    response.writeHead(200, { ...headers, "content-type": "text/event-stream" });
    response.end(`event: message\ndata: ${text}\n\n`);
    return;
  }
  const body = Buffer.from(text);
  response.writeHead(200, {
    ...headers,
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
}

function refuse(response, status) {
  response.writeHead(status, { "content-length": 0 }).end();
}
