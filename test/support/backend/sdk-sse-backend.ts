import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { freePort } from "../npm-servers.ts";
import { sendRaw } from "../raw-client.ts";
import { waitFor } from "../quiescence.ts";

/** A server of the official SDK over HTTP+SSE, one instance per stream. */
export interface SdkSseBackend extends AsyncDisposable {
  readonly url: string;
  /** Streams that are open now. */
  readonly openSessions: ReadonlySet<string>;
  /** Ends every stream, and with it every session. */
  drop(): Promise<void>;
}

export async function startSdkSseBackend(): Promise<SdkSseBackend> {
  const transports = new Map<string, SSEServerTransport>();
  const openSessions = new Set<string>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://x");
    const transport = transports.get(url.searchParams.get("sessionId") ?? "");
    if (request.method === "GET" && url.pathname === "/sse") {
      const opened = new SSEServerTransport("/message", response);
      transports.set(opened.sessionId, opened);
      openSessions.add(opened.sessionId);
      response.once("close", () => openSessions.delete(opened.sessionId));
      void createMcpServer().connect(opened);
    } else if (request.method === "POST" && transport !== undefined) {
      void transport.handlePostMessage(request, response);
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/sse`,
    openSessions,
    async drop() {
      await Promise.all([...transports.values()].map(async (transport) => transport.close()));
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Starts server-everything over HTTP+SSE on a free port and resolves when it answers. */
export async function startEverythingSse(): Promise<{ readonly url: string } & AsyncDisposable> {
  const port = await freePort();
  const manifest = createRequire(import.meta.url).resolve(
    "@modelcontextprotocol/server-everything/package.json",
  );
  const child = spawn(process.execPath, [join(dirname(manifest), "dist/index.js"), "sse"], {
    // One of its tools shows the environment, so it gets none of ours.
    env: { PORT: String(port) },
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  const origin = `http://127.0.0.1:${port}`;
  try {
    await waitFor(() => isAnswering(origin), { what: "server-everything answers" });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `${origin}/sse`, [Symbol.asyncDispose]: stop };
}

async function isAnswering(url: string): Promise<boolean> {
  return sendRaw(url).then(
    () => true,
    () => false,
  );
}

const QUESTION = {
  message: "Which colour?",
  requestedSchema: { type: "object", properties: { colour: { type: "string" } } },
} as const;

function createMcpServer(): McpServer {
  const server = new McpServer({ name: "sse", version: "1" });
  let count = 0;
  server.registerTool("count", { description: "Counts the calls of its session" }, () => {
    count += 1;
    return text(String(count));
  });
  server.registerTool("steps", { description: "Reports progress" }, async (extra) => {
    const progressToken = extra._meta?.progressToken ?? 0;
    for (const progress of [1, 2]) {
      // One step comes after the other.
      // oxlint-disable-next-line no-await-in-loop
      await extra.sendNotification({
        method: "notifications/progress",
        params: { progressToken, progress, total: 2 },
      });
    }
    return text("done");
  });
  server.registerTool("ask", { description: "Asks the user" }, async () => {
    const { action, content } = await server.server.elicitInput(QUESTION);
    return text(`${action} ${String(content?.["colour"])}`);
  });
  server.registerTool("grow", { description: "Gets one more tool" }, () => {
    server.registerTool("grown", { description: "Was not there before" }, () => text("new"));
    return text("grown");
  });
  return server;
}

function text(value: string): { content: { type: "text"; text: string }[] } {
  return { content: [{ type: "text", text: value }] };
}
