import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { McpServer as McpServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/server";

/** A real server of the official SDK, one instance per session, with one tool, resource and prompt. */
export interface SdkBackend extends AsyncDisposable {
  readonly url: string;
  /** Sessions that were opened and not yet ended by DELETE. */
  readonly openSessions: ReadonlySet<string>;
}

export type SdkLine = "v1" | "v2";

interface SessionTransport {
  handleRequest(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

interface SessionHooks {
  readonly sessionIdGenerator: () => string;
  readonly onsessioninitialized: (id: string) => void;
  readonly onsessionclosed: (id: string) => void;
}

export async function startSdkBackend(line: SdkLine, name: string): Promise<SdkBackend> {
  const transports = new Map<string, SessionTransport>();
  const openSessions = new Set<string>();
  const connect = line === "v1" ? connectV1 : connectV2;
  const open = async (): Promise<SessionTransport> => {
    const transport = await connect(name, {
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        openSessions.add(id);
        transports.set(id, transport);
      },
      onsessionclosed: (id) => {
        openSessions.delete(id);
      },
    });
    return transport;
  };
  const server = createServer((request, response) => {
    const id = request.headers["mcp-session-id"];
    void (async () => {
      const transport = (typeof id === "string" && transports.get(id)) || (await open());
      await transport.handleRequest(request, response);
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    openSessions,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function connectV2(name: string, hooks: SessionHooks): Promise<SessionTransport> {
  const server = new McpServer({ name, version: "2" });
  server.registerTool("greet", { description: "Greets" }, () => ({
    content: [{ type: "text", text: `hello from ${name}` }],
  }));
  server.registerResource("doc", `doc://${name}`, {}, (uri) => ({
    contents: [{ uri: uri.href, text: `doc of ${name}` }],
  }));
  server.registerPrompt("ask", { description: "Asks" }, () => ({
    messages: [{ role: "user", content: { type: "text", text: `ask ${name}` } }],
  }));
  const transport = new NodeStreamableHTTPServerTransport(hooks);
  await server.connect(transport);
  return transport;
}

async function connectV1(name: string, hooks: SessionHooks): Promise<SessionTransport> {
  const server = new McpServerV1({ name, version: "1" });
  server.registerTool("greet", { description: "Greets" }, () => ({
    content: [{ type: "text", text: `hello from ${name}` }],
  }));
  server.registerResource("doc", `doc://${name}`, {}, (uri) => ({
    contents: [{ uri: uri.href, text: `doc of ${name}` }],
  }));
  server.registerPrompt("ask", { description: "Asks" }, () => ({
    messages: [{ role: "user", content: { type: "text", text: `ask ${name}` } }],
  }));
  const transport = new StreamableHTTPServerTransport(hooks);
  await server.connect(transport);
  return transport;
}
