import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { listenAndSay } from "../load/listen.mjs";
import { tell } from "./backend-http.mjs";

/** Serves a scripted backend over HTTP+SSE, the transport of 2024-11-05. */
export function serveSse(backend) {
  const sessions = new Map();
  const server = createServer(backend.serverOptions, (request, response) => {
    // A client that left in the middle leaves nothing to answer.
    serve(backend, sessions, request, response).catch(() => response.destroy());
  });
  listenAndSay(server, backend.options.port, backend.options.name);
}

async function serve(backend, sessions, request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://backend");
  if (pathname === "/figures") {
    tell(backend, sessions, response);
    return;
  }
  if (request.method === "GET") {
    open(backend, sessions, response);
    return;
  }
  const message = await json(request);
  const session = sessions.get(searchParams.get("session"));
  if (session !== undefined && backend.isForgotten(session)) session.stream.destroy();
  if (session === undefined || session.stream.destroyed) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(202).end();
  const say = (text) => {
    if (text !== undefined) session.stream.write(`event: message\ndata: ${text}\n\n`);
  };
  await backend.receive(session, message, { message: say, answer: say });
}

function open(backend, sessions, stream) {
  const session = { ...backend.newSession(), stream };
  sessions.set(session.id, session);
  stream.on("close", () => sessions.delete(session.id));
  stream.writeHead(200, { "content-type": "text/event-stream" });
  stream.write(`event: endpoint\ndata: /messages?session=${session.id}\n\n`);
}
