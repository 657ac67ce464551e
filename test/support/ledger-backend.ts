import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import type { JsonObject } from "../../src/domain/json.ts";
import { needsVersionHeader } from "../../src/mcp/revisions.ts";
import { beginStream, httpReply, writeEvent } from "./http-reply.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerScript } from "./ledger-script.ts";
import { rawAt } from "./raw-json.ts";
import { type LedgerBackend, ScriptedBackend } from "./scripted-backend.ts";
import { ScriptedSession } from "./scripted-session.ts";

/** Answers an HTTP request in place of the backend. False leaves it to the backend. */
export type Interceptor = (
  request: IncomingMessage,
  body: string,
  response: ServerResponse,
) => boolean;

export interface HttpRequestRecord {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** A scripted MCP backend over streamable HTTP, in this process, on a loopback port of its own. */
export async function startHttpLedger(
  script: Partial<LedgerScript> = {},
  keepAliveMs = KEEP_ALIVE_MS,
): Promise<HttpLedger> {
  const ledger = new HttpLedger(script, keepAliveMs);
  await ledger.listen();
  return ledger;
}

/** How long a connection may be idle; tests that count sockets want it short. */
const KEEP_ALIVE_MS = 60_000;

interface HttpSession {
  readonly session: ScriptedSession;
  readonly streams: Set<ServerResponse>;
  readonly revision: string;
  readonly isProbe: boolean;
}

/** What the gateway calls itself where it asks for itself and not for a client. */
const PROBE_NAME = '"vmcp-probe"';

/**
 * Made by `startHttpLedger`. It is strict where the transport's text is: a POST must accept both media types,
 * and requests of revisions that have the header must name the revision agreed on.
 */
export class HttpLedger implements LedgerBackend {
  /** Every HTTP request, answered or refused. */
  readonly requests: HttpRequestRecord[] = [];
  readonly #backend: ScriptedBackend;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<string, HttpSession>();
  #port = 0;
  #acceptedSockets = 0;
  #intercept: Interceptor | undefined;

  constructor(script: Partial<LedgerScript>, keepAliveMs = KEEP_ALIVE_MS) {
    this.#backend = new ScriptedBackend(script);
    this.#server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
      // A failure ends the exchange: there is nobody else to tell.
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on("connection", (socket) => this.#track(socket));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  get port(): number {
    return this.#port;
  }

  get ledger(): Ledger {
    return this.#backend.ledger;
  }

  get sessions(): readonly ScriptedSession[] {
    return this.#backend.sessions;
  }

  /** Sessions of clients; the one that a gateway probes with is not among them. */
  get openSessions(): number {
    return this.#sessions.size - this.probeSessions;
  }

  get probeSessions(): number {
    return [...this.#sessions.values()].filter(({ isProbe }) => isProbe).length;
  }

  get initializeCount(): number {
    return this.ledger.initializes.length;
  }

  /** Sockets that are open now. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** Sockets accepted since the start. */
  get acceptedSockets(): number {
    return this.#acceptedSockets;
  }

  /** GET streams that are open now, without the one of a gateway's probe. */
  get openStreams(): number {
    return [...this.#sessions.values()]
      .filter(({ isProbe }) => !isProbe)
      .reduce((sum, { streams }) => sum + streams.size, 0);
  }

  change(script: Partial<LedgerScript>): void {
    this.#backend.change(script);
  }

  notify(method: string, params?: JsonObject): number {
    return this.#backend.notify(method, params);
  }

  resourceUpdated(uri: string): number {
    return this.#backend.resourceUpdated(uri);
  }

  async request(session: ScriptedSession, method: string, params: JsonObject): Promise<string> {
    return this.#backend.request(session, method, params);
  }

  /** Lets the interceptor answer first; undefined takes it away. */
  interceptWith(interceptor: Interceptor | undefined): void {
    this.#intercept = interceptor;
  }

  /** Forgets every session, as a restarted backend does: their next request gets 404. */
  forgetSessions(): void {
    for (const { session, streams } of this.#sessions.values()) {
      this.#backend.closed(session);
      for (const stream of streams) stream.end();
    }
    this.#sessions.clear();
  }

  /** Cuts every GET stream without ending the sessions. */
  cutStreams(): void {
    for (const { streams } of this.#sessions.values())
      for (const stream of streams) stream.destroy();
  }

  /** Cuts every socket and refuses connections until `listen`. Sessions are kept. */
  async stopListening(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    // The sockets tell their own close a moment after the server, which has waited for them all.
    this.#sockets.clear();
  }

  /** Listens again on the port of the first time. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    // A server that listens on TCP has an address object.
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.forgetSessions();
    await this.stopListening();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #track(socket: Socket): void {
    this.#acceptedSockets += 1;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const body = await readText(request);
    this.requests.push({ method, path: url, headers });
    if (this.#intercept?.(request, body, response) === true) return;
    const { refuseWithStatus } = this.#backend.script;
    if (refuseWithStatus !== undefined) return refuse(response, refuseWithStatus);
    if (url.split("?", 1)[0] !== "/mcp") return refuse(response, 404);
    if (method === "POST") return this.#post(request, body, response);
    const session = this.#sessions.get(String(headers["mcp-session-id"]));
    if (session === undefined) return refuse(response, 404);
    if (method === "GET") return this.#openStream(session, response);
    if (method === "DELETE") return this.#delete(request, session, response);
    return refuse(response, 405);
  }

  async #post(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const { headers } = request;
    if (!acceptsBoth(headers.accept)) return refuse(response, 406);
    if (headers["content-type"]?.startsWith("application/json") !== true)
      return refuse(response, 415);
    const id = headers["mcp-session-id"];
    if (id === undefined) {
      if (rawAt(body, ["method"]) !== '"initialize"') return refuse(response, 400);
      return this.#initialize(request, body, response);
    }
    const session = this.#sessions.get(String(id));
    if (session === undefined) return refuse(response, 404);
    if (!namesRevision(headers, session.revision)) return refuse(response, 400);
    if (rawAt(body, ["id"]) === undefined || rawAt(body, ["method"]) === undefined) {
      response.writeHead(202).end();
    }
    const reply = httpReply(response, this.#isAlwaysStream(), () => ({}));
    await session.session.receive(body, reply, headers);
  }

  async #initialize(
    request: IncomingMessage,
    body: string,
    response: ServerResponse,
  ): Promise<void> {
    const session = new ScriptedSession(this.#backend);
    const id = randomUUID();
    const streams = new Set<ServerResponse>();
    const reply = httpReply(response, this.#isAlwaysStream(), () => {
      if (this.#backend.script.initialize !== "answer" || response.destroyed) return {};
      const asked = rawAt(body, ["params", "protocolVersion"]) ?? '""';
      const revision = this.#backend.script.revision ?? String(JSON.parse(asked));
      const isProbe = rawAt(body, ["params", "clientInfo", "name"]) === PROBE_NAME;
      this.#sessions.set(id, { session, streams, revision, isProbe });
      this.#backend.opened(session, (text) => sendToOne(streams, text));
      return { "mcp-session-id": id };
    });
    await session.receive(body, reply, request.headers);
  }

  #openStream({ streams }: HttpSession, response: ServerResponse): void {
    beginStream(response, {});
    streams.add(response);
    response.on("close", () => streams.delete(response));
  }

  #delete(
    { headers }: IncomingMessage,
    { session, streams }: HttpSession,
    response: ServerResponse,
  ): void {
    this.#sessions.delete(String(headers["mcp-session-id"]));
    this.ledger.deletes.push(session.tag);
    this.#backend.closed(session);
    for (const stream of streams) stream.end();
    response.writeHead(200).end();
  }

  #isAlwaysStream(): boolean {
    return this.#backend.script.answerAs === "sse";
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

function sendToOne(streams: ReadonlySet<ServerResponse>, text: string): boolean {
  const [stream] = streams;
  if (stream === undefined) return false;
  writeEvent(stream, text);
  return true;
}

function acceptsBoth(accept: string | undefined): boolean {
  return accept?.includes("application/json") === true && accept.includes("text/event-stream");
}

function namesRevision(headers: IncomingMessage["headers"], revision: string): boolean {
  return !needsVersionHeader(revision) || headers["mcp-protocol-version"] === revision;
}
