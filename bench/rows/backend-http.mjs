import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { listenAndSay } from "../load/listen.mjs";

const EVENTS = { "content-type": "text/event-stream", "cache-control": "no-store" };
const LIST_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';

/** Serves a scripted backend over streamable HTTP with sessions. */
export function serveHttp(backend) {
  const sessions = new Map();
  const server = createServer(backend.serverOptions, (request, response) => {
    // A client that left in the middle leaves nothing to answer.
    serve(backend, sessions, request, response).catch(() => response.destroy());
  });
  listenAndSay(server, backend.options.port, backend.options.name);
  sayChanges(backend, sessions);
}

async function serve(backend, sessions, request, response) {
  if (request.url === "/figures") return tell(backend, sessions, response);
  const message = request.method === "POST" ? await json(request) : undefined;
  if (message?.method === "initialize") return open(backend, sessions, message, response);
  const session = sessions.get(request.headers["mcp-session-id"]);
  if (session === undefined || backend.isForgotten(session)) {
    if (session !== undefined) sessions.delete(session.id);
    return void response.writeHead(404).end();
  }
  if (request.method === "DELETE") {
    sessions.delete(session.id);
    session.stream?.end();
    return void response.writeHead(200).end();
  }
  if (request.method === "GET" && backend.options["no-streams"])
    return void response.writeHead(405).end();
  if (request.method === "GET") return listen(session, response);
  if (message.id === undefined) response.writeHead(202).end();
  return backend.receive(session, message, replyTo(response));
}

async function open(backend, sessions, message, response) {
  const session = backend.newSession();
  sessions.set(session.id, session);
  await backend.receive(session, message, replyTo(response, { "mcp-session-id": session.id }));
}

function listen(session, response) {
  session.stream?.end();
  session.stream = response;
  response.writeHead(200, EVENTS);
  response.flushHeaders();
  response.on("close", () => {
    if (session.stream === response) session.stream = undefined;
  });
}

/** An answer is JSON, unless messages came before it: then it is an event stream. */
function replyTo(response, headers = {}) {
  return {
    message(text) {
      if (!response.headersSent) response.writeHead(200, { ...headers, ...EVENTS });
      response.write(`event: message\ndata: ${text}\n\n`);
    },
    /** Resolves when what was sent has left, or nobody is there to take it. */
    async drained() {
      if (!response.writableNeedDrain || response.destroyed) return;
      await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
    },
    answer(text) {
      if (text === undefined) response.end();
      else if (response.headersSent) response.end(`event: message\ndata: ${text}\n\n`);
      else response.writeHead(200, { ...headers, "content-type": "application/json" }).end(text);
    },
  };
}

function sayChanges({ listChangedPerSecond, figures }, sessions) {
  if (listChangedPerSecond === 0) return;
  setInterval(() => {
    for (const { stream } of sessions.values()) {
      if (stream === undefined) continue;
      figures.notifications += 1;
      stream.write(`event: message\ndata: ${LIST_CHANGED}\n\n`);
    }
  }, 1_000 / listChangedPerSecond);
}

/** Answers a question for the backend's figures. */
export function tell({ figures }, sessions, response) {
  const openedAtMs = [...sessions.values()].map((session) => session.openedAtMs);
  response.writeHead(200, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify({ sessions: sessions.size, openedAtMs, ...figures }));
}
