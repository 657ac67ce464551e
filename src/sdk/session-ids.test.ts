import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { Server, type CallToolResult } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { connectV2, textOf } from "../../test/support/clients.ts";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import { CLIENT, createFactory } from "../../test/support/sessions.ts";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { SessionManager } from "../session/session-manager.ts";
import type { MultiSession } from "../session/session.ts";
import { MemoryStorage } from "../session/stores/memory-storage.ts";
import { createSessionIds, type SessionIdSource } from "./session-ids.ts";

const SOURCE: SessionIdSource = {
  generate: async () => "id-1",
  validate: async () => ({ isTerminated: false }),
  terminate: async () => ({ isNotAllowed: false }),
};

describe("generate", () => {
  test("gives the manager's id", async () => {
    const ids = createSessionIds(SOURCE);

    await expect(ids.generate()).resolves.toBe("id-1");
  });

  test("rejects where no session could be stored, because an empty id would mean no session at all", async () => {
    const ids = createSessionIds({ ...SOURCE, generate: async () => "" });

    await expect(ids.generate()).rejects.toMatchObject({
      code: "store_unavailable",
      retryAfterSeconds: 30,
    });
  });
});

describe("validate", () => {
  test.for([
    ["a live session", async () => ({ isTerminated: false }), true],
    ["a terminated placeholder", async () => ({ isTerminated: true }), false],
    ["an unknown id", failing("session_not_found"), false],
    ["an empty id", failing("invalid_argument"), false],
  ] as const)("%s", async ([, validate, isUsable]) => {
    const ids = createSessionIds({ ...SOURCE, validate });

    await expect(ids.validate("id-1")).resolves.toBe(isUsable);
  });

  test("passes on that the gateway shuts down", async () => {
    const ids = createSessionIds({ ...SOURCE, validate: failing("shutting_down") });

    await expect(ids.validate("id-1")).rejects.toMatchObject({ code: "shutting_down" });
  });
});

test("a transport of one's own shares its ids with the session manager", async () => {
  const backend = fakeBackend("b", {
    tools: ["echo"],
    answer: async () => ({ content: [{ type: "text", text: "from the backend" }] }),
  });
  await using sessions = new SessionManager<MultiSession>({
    storage: new MemoryStorage(),
    factory: createFactory(),
    backends: () => [backend],
    clock: () => Date.now(),
    logger: SILENT_LOGGER,
    idleTtlMs: 60_000,
    maxSessions: 10,
    drainDeadlineMs: 100,
  });
  await using edge = await startOwnTransports(sessions);
  const connected = await connectV2(edge.url);

  const { tools } = await connected.client.listTools();
  const result = await connected.client.callTool({ name: "echo" });
  await connected.close();

  expect(connected.sessionId).toBe(backend.connections[0]?.request.sessionId);
  expect(tools.map(({ name }) => name)).toEqual(["echo"]);
  expect(textOf(result)).toBe("from the backend");
  await expect.poll(() => backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
  expect(sessions.sessionCount).toBe(0);
  const late = await fetch(edge.url, { headers: { "mcp-session-id": connected.sessionId ?? "" } });
  expect(late.status).toBe(404);
});

function failing(code: VmcpErrorCode): () => Promise<never> {
  return async () => {
    throw new VmcpError(code, "refused");
  };
}

/** The usage in the doc comment of `createSessionIds`, without the end of transports that close by themselves. */
async function startOwnTransports(
  sessions: SessionManager,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const ids = createSessionIds(sessions);
  const transports = new Map<string, NodeStreamableHTTPServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const known = request.headers["mcp-session-id"];
    if (known !== undefined && !(await ids.validate(String(known)))) {
      response.writeHead(404).end();
      return;
    }
    const existing = transports.get(String(known));
    if (existing !== undefined) {
      await existing.handleRequest(request, response);
      return;
    }
    const id = await ids.generate();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      onsessioninitialized: () => void transports.set(id, transport),
      onsessionclosed: async () => ids.terminate(id),
    });
    await createAdaptedServer(sessions, id).connect(transport);
    await transport.handleRequest(request, response);
  };
  const server = createServer((request, response) => void handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await Promise.all([...transports.values()].map(async (transport) => transport.close()));
    },
  };
}

/** An SDK server that runs the handlers of a session's adapted tools. */
function createAdaptedServer(sessions: SessionManager, id: string): Server {
  const server = new Server({ name: "own", version: "1" }, { capabilities: { tools: {} } });
  const created = sessions.createSession(id, { identity: ANONYMOUS, client: CLIENT });
  server.setRequestHandler("tools/list", async () => {
    await created;
    return {
      tools: sessions.getAdaptedTools(id).map(({ name, description }) => ({
        name,
        description,
        inputSchema: { type: "object" },
      })),
    };
  });
  server.setRequestHandler("tools/call", async ({ params }) => {
    const tool = sessions.getAdaptedTools(id).find(({ name }) => name === params.name);
    // The protocol's shape of a result is what adapted tools answer with.
    return (await tool?.handler({ arguments: params.arguments })) as unknown as CallToolResult;
  });
  return server;
}
