// The backend that the conformance suite is run against for the revision without sessions, alone and behind the
// gateway: the same tools, resources and prompts as those of `fixture-backend.mjs`.
import { once } from "node:events";
import { createServer } from "node:http";
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
} from "@modelcontextprotocol/node";
import { createMcpHandler, Server } from "@modelcontextprotocol/server";
import { completeArgument, getPrompt, PROMPTS } from "./fixture-prompts.mjs";
import { readResource, RESOURCE_TEMPLATES, RESOURCES } from "./fixture-resources.mjs";
import {
  byReplay,
  byRounds,
  callRoundTool,
  getRoundPrompt,
  isRoundTool,
  ROUND_PROMPT,
} from "./fixture-rounds.mjs";
import { callTool, CHANGED_PROMPT, CHANGED_TOOL, TOOLS, TRIGGERS } from "./fixture-tools.mjs";

/** Starts the backend on a free loopback port. It serves no sessions. */
export async function startStatelessFixture() {
  const changes = { tools: false, prompts: false };
  const handler = createMcpHandler(() => createMcpServer(changes, handler), { legacy: "reject" });
  const handle = toNodeHandler(handler);
  const isLocalHost = localhostHostValidation();
  const isLocalOrigin = localhostOriginValidation();
  const http = createServer((request, response) => {
    // Each of the two has answered what it refuses.
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return;
    void handle(request, response);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return {
    url: `http://127.0.0.1:${http.address().port}/mcp`,
    async [Symbol.asyncDispose]() {
      await handler.close();
      http.close();
      http.closeAllConnections();
      await once(http, "close");
    },
  };
}

function createMcpServer(changes, handler) {
  const server = new Server(
    { name: "stateless-fixture", version: "1.0.0" },
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
  server.setRequestHandler("tools/list", () => ({
    tools: changes.tools ? [...TOOLS, CHANGED_TOOL] : TOOLS,
  }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const { name } = params;
    const list = TRIGGERS.get(name);
    if (list !== undefined) {
      changes[list] = !changes[list];
      if (list === "tools") handler.notify.toolsChanged();
      else handler.notify.promptsChanged();
      return { content: [{ type: "text", text: "changed" }] };
    }
    if (isRoundTool(name)) return callRoundTool(name, context, byRounds);
    return byReplay(async (asking) => callTool(params, asking), context);
  });
  server.setRequestHandler("prompts/list", () => ({
    prompts: changes.prompts ? [...PROMPTS, CHANGED_PROMPT] : PROMPTS,
  }));
  server.setRequestHandler("prompts/get", async ({ params }, context) =>
    params.name === ROUND_PROMPT.name ? getRoundPrompt(context, byRounds) : getPrompt(params),
  );
  server.setRequestHandler("resources/list", () => ({ resources: RESOURCES }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: RESOURCE_TEMPLATES,
  }));
  server.setRequestHandler("resources/read", ({ params }) => readResource(params));
  server.setRequestHandler("completion/complete", ({ params }) => completeArgument(params));
  return server;
}
