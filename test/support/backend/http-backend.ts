import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { buffer } from "node:stream/consumers";

/** One request as the backend got it. `message` is the parsed body of a POST. */
export interface Seen {
  readonly method: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly message: Record<string, unknown>;
}

export type Reply = (response: ServerResponse, seen: Seen) => void | Promise<void>;

export interface HttpScript {
  /** By JSON-RPC method; what is not named is answered as a small sound server would. */
  readonly on?: Readonly<Record<string, Reply>>;
  readonly get?: Reply;
  readonly delete?: Reply;
  /** Undefined: the backend gives no session id. */
  readonly sessionId?: string;
  readonly capabilities?: object;
  readonly revision?: string;
}

/** A backend of plain `node:http` whose every answer can be written by hand. */
export interface HttpBackend extends AsyncDisposable {
  readonly url: string;
  readonly seen: Seen[];
  readonly sockets: ReadonlySet<Socket>;
  /** The requests of one JSON-RPC method, or of one HTTP method in capitals. */
  of(method: string): readonly Seen[];
}

export async function startHttpBackend(script: HttpScript = {}): Promise<HttpBackend> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void answer(request, response, script, seen);
  });
  const sockets = trackSockets(server);
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    sockets,
    of: (method) =>
      seen.filter((request) => request.method === method || request.message["method"] === method),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await once(server, "close").catch(() => {});
    },
  };
}

/** A server that writes these bytes to whoever sends it anything, and then does what `after` says. */
export async function startTcpBackend(
  answerTo: (socket: Socket, received: string) => void,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => answerTo(socket, chunk.toString("latin1")));
  });
  const sockets = trackSockets(server);
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close").catch(() => {});
    },
  };
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const body = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
}

export function startEvents(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
}

export function sendEvent(response: ServerResponse, value: unknown): boolean {
  return response.write(`event: message\ndata: ${JSON.stringify(value)}\n\n`);
}

export function resultFor(seen: Seen, result: object = { content: [] }): object {
  return { jsonrpc: "2.0", id: seen.message["id"], result };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  script: HttpScript,
  seen: Seen[],
): Promise<void> {
  const text = (await buffer(request)).toString();
  const { method = "", headers } = request;
  const message: Record<string, unknown> = text === "" ? {} : JSON.parse(text);
  const entry: Seen = { method, headers, text, message };
  seen.push(entry);
  if (method === "GET") await (script.get ?? refuseMethod)(response, entry);
  else if (method === "DELETE") await (script.delete ?? acceptDelete)(response, entry);
  else await post(response, entry, script);
}

async function post(response: ServerResponse, seen: Seen, script: HttpScript): Promise<void> {
  const method = String(seen.message["method"]);
  const own = script.on?.[method];
  if (own !== undefined) await own(response, seen);
  else if (method === "initialize") sendGreeting(response, seen, script);
  else if (seen.message["id"] === undefined || seen.message["method"] === undefined) {
    response.writeHead(202).end();
  } else sendJson(response, resultFor(seen, EMPTY_LISTS));
}

export function sendGreeting(response: ServerResponse, seen: Seen, script: HttpScript = {}): void {
  const { sessionId, capabilities = {}, revision = "2025-11-25" } = script;
  if (sessionId !== undefined) response.setHeader("mcp-session-id", sessionId);
  const serverInfo = { name: "hand-written", version: "1" };
  sendJson(response, resultFor(seen, { protocolVersion: revision, capabilities, serverInfo }));
}

const EMPTY_LISTS = { tools: [], prompts: [], resources: [], resourceTemplates: [], content: [] };

const refuseMethod: Reply = (response) => {
  response.writeHead(405, { allow: "POST" }).end();
};

const acceptDelete: Reply = (response) => {
  response.writeHead(204).end();
};

function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  // A server that listens on a port has an address with one.
  return (server.address() as AddressInfo).port;
}
