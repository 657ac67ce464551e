import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { JsonObject } from "../../src/domain/json.ts";

/** An HTTP answer as it comes in: nothing is followed, retried or interpreted. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body so far, byte for byte. */
  readonly text: string;
  /** The `data` of every complete event so far, where the body is an event stream. */
  readonly events: readonly string[];
  /** Resolves when the body is complete, rejects when it was cut. */
  readonly ended: Promise<void>;
  /** Cuts the connection. */
  destroy(): void;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export const JSON_AND_EVENTS = "application/json, text/event-stream";

/** Sends one HTTP request on a connection of its own and resolves at the answer's head. */
export async function startRaw(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  const outgoing = request(url, {
    agent: false,
    method: options.method ?? "GET",
    ...(options.headers && { headers: options.headers }),
  });
  outgoing.end(options.body);
  // The emitter's own contract: `response` carries the message.
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  return toRawAnswer(incoming);
}

/** Sends one HTTP request and resolves when the whole body is there. */
export async function sendRaw(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  const answer = await startRaw(url, options);
  await answer.ended;
  return answer;
}

/** Posts a JSON-RPC message, given as a value or as text, with the headers that the transport asks for. */
export async function postMessage(
  url: string,
  message: string | JsonObject,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  return sendRaw(url, messageRequest(message, headers));
}

/** The last JSON-RPC message in an answer, whether it came as JSON or as an event. */
export function lastMessage(answer: RawAnswer): unknown {
  return JSON.parse(answer.events.at(-1) ?? answer.text);
}

/** A session that was opened by hand. */
export interface RawSession {
  readonly id: string;
  /** The headers that every further request of the session carries. */
  readonly headers: Readonly<Record<string, string>>;
  readonly initializeAnswer: RawAnswer;
  /** Posts any message, given as a value or as text. */
  post(message: string | JsonObject): Promise<RawAnswer>;
  /** As `post`, but resolves at the answer's head. */
  startPost(message: string | JsonObject): Promise<RawAnswer>;
  /** Sends a request with a fresh id and returns the last message of its answer. */
  request(method: string, params?: JsonObject): Promise<unknown>;
  openStream(headers?: Readonly<Record<string, string>>): Promise<RawAnswer>;
  delete(): Promise<RawAnswer>;
}

export interface RawSessionOptions {
  readonly revision?: string;
  readonly capabilities?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Opens a session: `initialize`, then `notifications/initialized`. Fails when it is refused. */
export async function openRawSession(
  url: string,
  options: RawSessionOptions = {},
): Promise<RawSession> {
  const { revision = "2025-11-25", capabilities = {}, headers: own = {} } = options;
  const clientInfo = { name: "raw-client", version: "1.0.0" };
  const params = { protocolVersion: revision, capabilities, clientInfo };
  const initialize = { jsonrpc: "2.0", id: 0, method: "initialize", params };
  const initializeAnswer = await postMessage(url, initialize, own);
  const id = initializeAnswer.headers["mcp-session-id"];
  if (typeof id !== "string")
    throw new Error(`no session: ${initializeAnswer.status} ${initializeAnswer.text}`);
  const headers = { ...own, "mcp-session-id": id, "mcp-protocol-version": revision };
  await postMessage(url, { jsonrpc: "2.0", method: "notifications/initialized" }, headers);
  let lastId = 0;

  return {
    id,
    headers,
    initializeAnswer,
    post: async (message) => postMessage(url, message, headers),
    startPost: async (message) => startRaw(url, messageRequest(message, headers)),
    async request(method, requestParams = {}) {
      lastId += 1;
      const message = { jsonrpc: "2.0", id: lastId, method, params: requestParams };
      return lastMessage(await postMessage(url, message, headers));
    },
    openStream: async (more = {}) =>
      startRaw(url, { headers: { ...headers, accept: "text/event-stream", ...more } }),
    delete: async () => sendRaw(url, { method: "DELETE", headers }),
  };
}

/**
 * Writes bytes to the server behind `url` and returns all that it sends until it closes, or until `until`
 * says that what came is enough.
 */
export async function sendBytes(
  url: string,
  bytes: string | Uint8Array,
  until: (received: string) => boolean = () => false,
): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    received += chunk;
    if (until(received)) socket.destroy();
  });
  // A reset by the server ends the exchange like a close does.
  socket.on("error", () => socket.destroy());
  socket.write(bytes);
  await once(socket, "close");
  return received;
}

function messageRequest(
  message: string | JsonObject,
  headers: Readonly<Record<string, string>>,
): RawRequest {
  return {
    method: "POST",
    headers: { "content-type": "application/json", accept: JSON_AND_EVENTS, ...headers },
    body: typeof message === "string" ? message : JSON.stringify(message),
  };
}

function toRawAnswer(incoming: IncomingMessage): RawAnswer {
  let text = "";
  incoming.setEncoding("utf8");
  incoming.on("data", (chunk: string) => {
    text += chunk;
  });
  const ended = bodyEnd(incoming);
  // Who does not wait for the end does not want to hear of a cut.
  ended.catch(() => {});
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    get text() {
      return text;
    },
    get events() {
      return dataOf(text);
    },
    ended,
    destroy: () => void incoming.destroy(),
  };
}

async function bodyEnd(incoming: IncomingMessage): Promise<void> {
  await once(incoming, "close").catch(() => {});
  if (!incoming.complete) throw new Error("the answer was cut");
}

/** Events without data, such as those that only set a retry time or prime an id, are left out. */
function dataOf(text: string): readonly string[] {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n").slice(0, -1);
  return blocks
    .map((block) =>
      block
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n"),
    )
    .filter((data) => data !== "");
}
