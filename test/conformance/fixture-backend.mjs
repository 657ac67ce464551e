// The backend that the conformance suite is run against, alone and behind the gateway: streamable HTTP with sessions,
// streams that can be resumed, and every tool, resource and prompt that the suite's scenarios name. Run by itself, it
// prints its URL and serves until it is ended.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
} from "@modelcontextprotocol/node";
import { Server } from "@modelcontextprotocol/server";
import { completeArgument, getPrompt, PROMPTS } from "./fixture-prompts.mjs";
import { readResource, RESOURCE_TEMPLATES, RESOURCES } from "./fixture-resources.mjs";
import {
  byRequests,
  callRoundTool,
  getRoundPrompt,
  isRoundTool,
  ROUND_PROMPT,
} from "./fixture-rounds.mjs";
import { callTool, CHANGED_PROMPT, CHANGED_TOOL, TOOLS, TRIGGERS } from "./fixture-tools.mjs";

/** How long clients wait before they resume a stream that was closed. */
const RETRY_INTERVAL_MS = 100;

/** Starts the backend on a free loopback port. */
export async function startFixtureBackend() {
  const transports = new Map();
  const isLocalHost = localhostHostValidation();
  const isLocalOrigin = localhostOriginValidation();
  const serve = async (request, response) => {
    // Each of the two has answered what it refuses.
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return;
    const id = request.headers["mcp-session-id"];
    const transport = id === undefined ? await openSession(transports) : transports.get(id);
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(request, response);
  };
  const http = createServer((request, response) => void serve(request, response));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return {
    url: `http://127.0.0.1:${http.address().port}/mcp`,
    async [Symbol.asyncDispose]() {
      http.close();
      http.closeAllConnections();
      await once(http, "close");
    },
  };
}

/** A session counts from the moment it was initialized, and until it is deleted. */
async function openSession(transports) {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new EventLog(),
    retryInterval: RETRY_INTERVAL_MS,
    onsessioninitialized: (id) => transports.set(id, transport),
    onsessionclosed: (id) => transports.delete(id),
  });
  await createMcpServer().connect(transport);
  return transport;
}

/** Built from schemas as they are, so that nothing between this file and the wire rewrites them. */
function createMcpServer() {
  const server = new Server(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
    },
  );
  const changes = { tools: false, prompts: false };
  server.setRequestHandler("tools/list", () => ({
    tools: changes.tools ? [...TOOLS, CHANGED_TOOL] : TOOLS,
  }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const { name } = params;
    const list = TRIGGERS.get(name);
    if (list !== undefined) {
      changes[list] = !changes[list];
      await (list === "tools" ? server.sendToolListChanged() : server.sendPromptListChanged());
      return { content: [{ type: "text", text: "changed" }] };
    }
    return isRoundTool(name) ? callRoundTool(name, context, byRequests) : callTool(params, context);
  });
  server.setRequestHandler("prompts/list", () => ({
    prompts: changes.prompts ? [...PROMPTS, CHANGED_PROMPT] : PROMPTS,
  }));
  server.setRequestHandler("prompts/get", async ({ params }, context) =>
    params.name === ROUND_PROMPT.name ? getRoundPrompt(context, byRequests) : getPrompt(params),
  );
  server.setRequestHandler("resources/list", () => ({ resources: RESOURCES }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: RESOURCE_TEMPLATES,
  }));
  server.setRequestHandler("resources/read", ({ params }) => readResource(params));
  server.setRequestHandler("resources/subscribe", () => ({}));
  server.setRequestHandler("resources/unsubscribe", () => ({}));
  server.setRequestHandler("completion/complete", ({ params }) => completeArgument(params));
  return server;
}

/** What one session's streams carried. An event's id is its place in the log. */
class EventLog {
  #events = [];

  async storeEvent(streamId, message) {
    this.#events.push({ streamId, message });
    return String(this.#events.length - 1);
  }

  async replayEventsAfter(lastEventId, { send }) {
    const last = Number(lastEventId);
    const { streamId } = this.#events[last];
    for (const [index, event] of this.#events.entries()) {
      if (index <= last || event.streamId !== streamId || !("jsonrpc" in event.message)) continue;
      // The order of events is part of the stream.
      // oxlint-disable-next-line no-await-in-loop
      await send(String(index), event.message);
    }
    return streamId;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log((await startFixtureBackend()).url);
}
