// A server of the official SDK for the revision without sessions, whose tools show what reaches it and ask for input.
import process from "node:process";
import { inputRequired, Server } from "@modelcontextprotocol/server";

const INFO = { name: "stateless", version: "2.0.0" };

const CAPABILITIES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
};

/** Counts what is no part of any request, as the process that serves them all may. */
export function createState() {
  return { calls: 0, cancelled: 0, tools: Object.keys(TOOLS) };
}

/** Makes the server of one request over HTTP, or of one process over pipes. */
export function createStatelessServer(state, cacheHints) {
  const server = new Server(INFO, {
    capabilities: CAPABILITIES,
    instructions: "Nothing is kept between requests.",
    ...(cacheHints && { cacheHints }),
  });
  server.setRequestHandler("tools/list", () => ({
    tools: state.tools.map((name) => ({
      name,
      inputSchema: TOOLS[name]?.schema ?? { type: "object" },
    })),
  }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    state.calls += 1;
    const tool = TOOLS[params.name];
    if (tool === undefined) throw new Error(`no tool ${params.name}`);
    return tool.run({ args: params.arguments ?? {}, context, state });
  });
  server.setRequestHandler("resources/list", () => ({
    resources: [{ uri: "doc://one", name: "one" }],
  }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [{ uriTemplate: "doc://{id}", name: "any" }],
  }));
  server.setRequestHandler("resources/read", ({ params }) => ({
    contents: [{ uri: params.uri, text: `text of ${params.uri}` }],
  }));
  server.setRequestHandler("prompts/list", () => ({
    prompts: [{ name: "greet", arguments: [{ name: "who" }] }],
  }));
  server.setRequestHandler("prompts/get", ({ params }, context) => {
    const who = context.mcpReq.inputResponses?.who?.content?.who;
    if (params.arguments?.who === undefined && who === undefined) {
      return inputRequired({ inputRequests: { who: elicit("who") } });
    }
    return { messages: [message(`Greet ${params.arguments?.who ?? who}`)] };
  });
  server.setRequestHandler("completion/complete", ({ params }) => ({
    completion: { values: [`${params.argument.value}!`] },
  }));
  return server;
}

function elicit(name) {
  return inputRequired.elicit({
    message: `Which ${name}?`,
    requestedSchema: { type: "object", properties: { [name]: { type: "string" } } },
  });
}

function message(words) {
  return { role: "user", content: { type: "text", text: words } };
}

function text(value) {
  return {
    content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }],
  };
}

const REGION = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    deep: { type: "object", properties: { count: { type: "integer", "x-mcp-header": "Count" } } },
  },
};

const TOOLS = {
  echo: { run: ({ args }) => text(args) },
  /** What the request says of who asks. */
  envelope: { run: ({ context }) => text(context.mcpReq.envelope) },
  headers: {
    run: ({ context }) => text(Object.fromEntries(context.http?.req?.headers ?? [])),
  },
  region: { schema: REGION, run: ({ args }) => text(args) },
  progress: {
    run: async ({ args, context }) => {
      const progressToken = context.mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= args.steps; progress += 1) {
        const params = { progressToken, progress, total: args.steps };
        await context.mcpReq.notify({ method: "notifications/progress", params });
      }
      return text("done");
    },
  },
  log: {
    run: async ({ args, context }) => {
      await context.mcpReq.log(args.level, args.data);
      return text("logged");
    },
  },
  wait: {
    run: async ({ context, state }) => {
      await new Promise((resolve) => context.mcpReq.signal.addEventListener("abort", resolve));
      state.cancelled += 1;
      return text("cancelled");
    },
  },
  /** Tells one process from another. */
  pid: { run: () => text(process.pid) },
  crash: { run: ({ args }) => process.exit(args.code) },
  /** Asks a person for a name. */
  ask: {
    run: ({ context }) => {
      const answer = context.mcpReq.inputResponses?.name;
      if (answer === undefined) {
        return inputRequired({ inputRequests: { name: elicit("name") }, requestState: "état €" });
      }
      return text({ answer, state: context.mcpReq.requestState() });
    },
  },
  /** Asks for everything that can be asked for, at once. */
  askAll: {
    run: ({ context }) => {
      const answers = context.mcpReq.inputResponses;
      if (answers !== undefined) return text(answers);
      return inputRequired({
        inputRequests: {
          name: elicit("name"),
          model: inputRequired.createMessage({ messages: [message("2+2?")], maxTokens: 10 }),
          roots: inputRequired.listRoots(),
        },
      });
    },
  },
  /** Asks as often as it is told to, and keeps count in what it has handed back. */
  askOften: {
    run: ({ args, context }) => {
      const round = Number(context.mcpReq.requestState() ?? 0);
      if (round >= args.rounds) return text(`after ${round}`);
      return inputRequired({
        inputRequests: { name: elicit("name") },
        requestState: String(round + 1),
      });
    },
  },
  /** Is answered once the client comes again, without a question. */
  later: {
    run: ({ context }) =>
      context.mcpReq.requestState() === undefined
        ? inputRequired({ requestState: "again" })
        : text("at last"),
  },
};
