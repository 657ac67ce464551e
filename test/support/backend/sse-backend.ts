import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { resultFor, sendEvent, startEvents, type Seen } from "./http-backend.ts";

/** One POST as the backend got it, and the stream of the session that it belongs to. */
export interface SsePost {
  readonly seen: Seen;
  /** The answer to the POST itself; the script must end it. */
  readonly response: ServerResponse;
  readonly stream: ServerResponse;
  /** Accepts the POST. */
  readonly accept: () => void;
  /** Says something on the stream. */
  readonly say: (message: unknown) => void;
  /** Answers on the stream. */
  readonly answer: (result?: object) => void;
}

export interface SseScript {
  /** By JSON-RPC method; what is not named is accepted and answered as a small sound server would. */
  readonly on?: Readonly<Record<string, (post: SsePost) => void | Promise<void>>>;
  /** In place of a stream that begins with the address for messages. */
  readonly get?: (response: ServerResponse, seen: Seen) => void;
  /** The data of the `endpoint` event for the session of that number. */
  readonly address?: (session: number, port: number) => string;
  readonly capabilities?: object;
  readonly revision?: string;
}

/** A backend of the transport of 2024-11-05 whose every answer can be written by hand. */
export interface SseBackend extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly Seen[];
  readonly sockets: ReadonlySet<Socket>;
  /** The streams that are open now, by the number of their session. */
  readonly streams: ReadonlyMap<number, ServerResponse>;
  /** The requests of one JSON-RPC method, or of one HTTP method in capitals. */
  of(method: string): readonly Seen[];
}

export async function startSseBackend(script: SseScript = {}): Promise<SseBackend> {
  const seen: Seen[] = [];
  const streams = new Map<number, ServerResponse>();
  const sockets = new Set<Socket>();
  let sessions = 0;
  let port = 0;

  const openStream = (response: ServerResponse): void => {
    sessions += 1;
    const session = sessions;
    const address = script.address?.(session, port) ?? `/messages?session=${session}`;
    streams.set(session, response);
    response.once("close", () => streams.delete(session));
    startEvents(response);
    response.write(`event: endpoint\ndata: ${address}\n\n`);
  };

  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = (await buffer(request)).toString();
    const { method = "", headers, url = "" } = request;
    const entry: Seen = { method, headers, text, message: text === "" ? {} : JSON.parse(text) };
    seen.push(entry);
    const session = Number(new URL(url, "http://x").searchParams.get("session"));
    const stream = streams.get(session);
    if (method === "GET" && url.startsWith("/sse")) {
      if (script.get === undefined) openStream(response);
      else script.get(response, entry);
    } else if (method !== "POST" || stream === undefined) {
      response.writeHead(404).end("no such thing");
    } else {
      const post = toPost(entry, response, stream);
      const reply = script.on?.[String(entry.message["method"])] ?? answerAsUsual;
      await reply(post);
    }
  };

  const answerAsUsual = (post: SsePost): void => {
    const { capabilities = {}, revision = "2024-11-05" } = script;
    const { method, id } = post.seen.message;
    post.accept();
    if (method === "initialize") {
      const serverInfo = { name: "hand-written", version: "1" };
      post.answer({ protocolVersion: revision, capabilities, serverInfo });
    } else if (method !== undefined && id !== undefined) post.answer(EMPTY_LISTS);
  };

  const server = createServer((request, response) => {
    void receive(request, response);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  port = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${port}/sse`,
    seen,
    sockets,
    streams,
    of: (method) =>
      seen.filter((request) => request.method === method || request.message["method"] === method),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function toPost(seen: Seen, response: ServerResponse, stream: ServerResponse): SsePost {
  return {
    seen,
    response,
    stream,
    accept: () => void response.writeHead(202).end("Accepted"),
    say: (message) => void sendEvent(stream, message),
    answer: (result) => void sendEvent(stream, resultFor(seen, result)),
  };
}

const EMPTY_LISTS = { tools: [], prompts: [], resources: [], resourceTemplates: [], content: [] };
