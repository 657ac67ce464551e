// A small MCP backend in a process of its own, for tests that kill it. Every execution is on disk before anything else
// comes of it. Arguments: the ledger's file, the fate of calls, and "stdio" or a port to listen on.
import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import process from "node:process";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

const [file, fate, place] = process.argv.slice(2);

const TOOLS = [
  { name: "nonce", inputSchema: { type: "object", properties: { nonce: { type: "string" } } } },
];

function record(nonce) {
  const fd = openSync(file, "a");
  writeSync(fd, `${JSON.stringify({ nonce, pid: process.pid, atMs: Date.now() })}\n`);
  fsyncSync(fd);
  closeSync(fd);
}

function die() {
  process.kill(process.pid, "SIGKILL");
}

/** Undefined where no answer will come. */
function call(params) {
  if (fate === "die-before") return die();
  record(params.arguments?.nonce);
  if (fate === "die-after") return die();
  if (fate === "hang") return undefined;
  return { content: [{ type: "text", text: params.arguments?.nonce ?? "" }] };
}

function resultOf({ method, params }) {
  if (method === "initialize") {
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: "durable", version: "1" },
    };
  }
  if (method === "tools/list") return { tools: TOOLS };
  if (method === "tools/call") return call(params);
  return {};
}

function serveStdio() {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.id === undefined || message.method === undefined) return;
    const result = resultOf(message);
    if (result === undefined) return;
    process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, result })}\n`);
  });
}

function serveHttp(port) {
  const sessions = new Set();
  const server = createServer((request, response) => {
    void serve(request, response, sessions);
  });
  server.listen(port, "127.0.0.1", () => console.log(server.address().port));
}

async function serve(request, response, sessions) {
  const body = await text(request);
  const id = request.headers["mcp-session-id"];
  if (id !== undefined && !sessions.has(id)) return response.writeHead(404).end();
  if (request.method === "DELETE") {
    sessions.delete(id);
    return response.writeHead(200).end();
  }
  if (request.method !== "POST") return response.writeHead(405).end();
  const message = JSON.parse(body);
  if (message.id === undefined) return response.writeHead(202).end();
  const headers = { "content-type": "application/json" };
  if (message.method === "initialize") {
    headers["mcp-session-id"] = randomUUID();
    sessions.add(headers["mcp-session-id"]);
  }
  const result = resultOf(message);
  if (result === undefined) return undefined;
  return response
    .writeHead(200, headers)
    .end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
}

if (place === "stdio") serveStdio();
else serveHttp(Number(place));
