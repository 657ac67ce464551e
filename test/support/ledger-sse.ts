import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import type { JsonObject } from "../../src/domain/json.ts";
import { beginStream, writeEvent } from "./http-reply.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerScript } from "./ledger-script.ts";
import { type LedgerBackend, ScriptedBackend } from "./scripted-backend.ts";
import { ScriptedSession } from "./scripted-session.ts";

/** A scripted MCP backend over the HTTP+SSE of 2024-11-05, in this process, on a loopback port of its own. */
export async function startSseLedger(
  script: Partial<LedgerScript> = {},
  keepAliveMs = KEEP_ALIVE_MS,
): Promise<SseLedger> {
  const ledger = new SseLedger(script, keepAliveMs);
  await ledger.listen();
  return ledger;
}

/** How long a connection may be idle; tests that count sockets want it short. */
const KEEP_ALIVE_MS = 60_000;

interface SseSession {
  readonly session: ScriptedSession;
  readonly stream: ServerResponse;
}

/** Made by `startSseLedger`. A session lasts as long as its stream: that is how this transport ends one. */
export class SseLedger implements LedgerBackend {
  readonly #backend: ScriptedBackend;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<string, SseSession>();
  #port = 0;

  constructor(script: Partial<LedgerScript>, keepAliveMs = KEEP_ALIVE_MS) {
    this.#backend = new ScriptedBackend({ revision: "2024-11-05", ...script });
    this.#server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
      // A failure ends the exchange: there is nobody else to tell.
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/sse`;
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

  get openSessions(): number {
    return this.sessions.length;
  }

  get initializeCount(): number {
    return this.ledger.initializes.length;
  }

  /** Sockets that are open now. */
  get sockets(): number {
    return this.#sockets.size;
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

  /** Writes any bytes to every stream. */
  writeRaw(bytes: string | Uint8Array): void {
    for (const { stream } of this.#sessions.values()) stream.write(bytes);
  }

  /** Ends every session, as a restarted backend does: their streams break off. */
  forgetSessions(): void {
    for (const { stream } of this.#sessions.values()) stream.destroy();
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    // A server that listens on TCP has an address object.
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = "" } = request;
    const body = await readText(request);
    const { pathname, searchParams } = new URL(url, "http://ledger");
    if (method === "GET" && pathname === "/sse") {
      this.#open(response);
      return;
    }
    const known = this.#sessions.get(searchParams.get("session") ?? "");
    if (method !== "POST" || pathname !== "/messages" || known === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(202).end("Accepted");
    const say = (text: string): void => writeEvent(known.stream, text);
    const crash = (): void => void known.stream.destroy();
    await known.session.receive(body, { event: say, answer: say, crash }, request.headers);
  }

  #open(stream: ServerResponse): void {
    const id = randomUUID();
    const session = new ScriptedSession(this.#backend);
    this.#sessions.set(id, { session, stream });
    this.#backend.opened(session, (text) => {
      writeEvent(stream, text);
      return true;
    });
    stream.on("close", () => {
      this.#sessions.delete(id);
      this.ledger.deletes.push(session.tag);
      this.#backend.closed(session);
    });
    beginStream(stream, {});
    stream.write(`event: endpoint\ndata: /messages?session=${id}\n\n`);
  }
}
