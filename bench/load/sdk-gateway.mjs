// A gateway as the official SDK invites one to write it: one SDK server per client session, one SDK client per session
// towards the backend, tools renamed with a prefix.
//   node sdk-gateway.mjs --backend URL [--port 0]
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { json as readJson } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { Server } from "@modelcontextprotocol/server";
import { listenAndSay } from "./listen.mjs";

const { values: options } = parseArgs({
  options: { port: { type: "string", default: "0" }, backend: { type: "string" } },
});
const PREFIX = "b1_";
const INFO = { name: "sdk-gateway", version: "1.0.0" };

/** Session id → the transport towards its client. */
const transports = new Map();

const server = createServer(
  { keepAliveTimeout: 600_000, requestTimeout: 0 },
  (request, response) => {
    serve(request, response).catch((error) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end(error.message);
    });
  },
);
listenAndSay(server, options.port, "sdk-gateway");

async function serve(request, response) {
  const sessionId = request.headers["mcp-session-id"];
  const body = request.method === "POST" ? await readJson(request) : undefined;
  const isNew = sessionId === undefined && body?.method === "initialize";
  const transport = isNew ? await openSession() : transports.get(sessionId);
  if (transport === undefined) response.writeHead(sessionId === undefined ? 400 : 404).end();
  else await transport.handleRequest(request, response, body);
}

async function openSession() {
  const client = new Client(INFO);
  await client.connect(new StreamableHTTPClientTransport(new URL(options.backend)));
  const { tools } = await client.listTools();
  const advertised = tools.map((tool) => ({ ...tool, name: PREFIX + tool.name }));

  const session = new Server(INFO, { capabilities: { tools: {} } });
  session.setRequestHandler("tools/list", () => ({ tools: advertised }));
  session.setRequestHandler("tools/call", ({ params }, { mcpReq }) =>
    client.callTool(
      { name: params.name.slice(PREFIX.length), arguments: params.arguments },
      { signal: mcpReq.signal, ...progressTo(mcpReq, params) },
    ),
  );
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void transports.set(id, transport),
  });
  // A transport of the SDK has callbacks and no events.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  transport.onclose = () => {
    transports.delete(transport.sessionId);
    void closeClient(client);
  };
  await session.connect(transport);
  return transport;
}

/** Hands progress on where the client wants it, with the client's own token. */
function progressTo(mcpReq, { _meta: meta }) {
  const progressToken = meta?.progressToken;
  if (progressToken === undefined) return {};
  const method = "notifications/progress";
  return {
    onprogress: (progress) =>
      void mcpReq.notify({ method, params: { ...progress, progressToken } }),
  };
}

/** Nobody waits for this: a backend that does not answer must not hold the client's DELETE. */
async function closeClient(client) {
  await client.transport?.terminateSession().catch(() => {});
  await client.close();
}
