import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { ClientConnection, type Outgoing } from "./exchange.ts";
import { eventIdsIn, eventsIn, type HttpAnswer, isEventStream } from "./http-reader.ts";

const REVISION = "2025-11-25";

/** Who asks where an entry does not say. */
const FIRST_IDENTITY = "alice";

/** Parameters of an `initialize` that is right; the client can be asked everything that the protocol knows. */
export const INITIALIZE_PARAMS: JsonObject = {
  protocolVersion: REVISION,
  capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } },
  clientInfo: { name: "catalogue", version: "1.0.0" },
};

/** An HTTP request before it is bytes. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** By lower-case name; undefined takes a header away. */
  readonly headers: ReadonlyMap<string, string | undefined>;
  /** Further header lines, as they stand. */
  readonly rawHeaders?: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
  readonly isChunked?: boolean;
}

/** A session that the gateway gave to a client, and a stream or a question of it that is held open. */
export interface ClientSession {
  readonly id: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** A question of a backend that the client has not answered. */
export interface OpenQuestion {
  readonly id: string | number;
  /** The id of the event that brought it. */
  readonly eventId: string;
  /** The call during which it was asked; complete once the question is settled. */
  readonly connection: ClientConnection;
}

/** Everything that clients do to one gateway. Disposing cuts all connections. */
export class Client implements AsyncDisposable {
  readonly #origin: string;
  readonly #proofOf: ((name: string) => string | undefined) | undefined;
  readonly #connections: ClientConnection[] = [];
  readonly #sessions: ClientSession[] = [];
  readonly #questions: (readonly [ClientSession, string | number])[] = [];

  /** `proofOf` is what an identity sends as `Authorization`, where the gateway tells them apart. */
  constructor(origin: string, proofOf?: (name: string) => string | undefined) {
    this.#origin = origin;
    this.#proofOf = proofOf;
  }

  /** Everything that came from the gateway on all connections. */
  received(): string {
    return this.#connections.map((connection) => connection.received).join("\n");
  }

  async connect(): Promise<ClientConnection> {
    const connection = await ClientConnection.open(this.#origin);
    this.#connections.push(connection);
    return connection;
  }

  toOutgoing({ method, path, headers, rawHeaders, body, isChunked }: HttpRequest): Outgoing {
    const lines = [...(rawHeaders ?? [])].map(([name, value]) => `${name}: ${value}`);
    for (const [name, value] of headers) if (value !== undefined) lines.push(`${name}: ${value}`);
    if (!headers.has("host")) lines.unshift(`Host: ${new URL(this.#origin).host}`);
    if (isChunked === true) lines.push("Transfer-Encoding: chunked");
    else if (body !== undefined && !headers.has("content-length"))
      lines.push(`Content-Length: ${body.length}`);
    const head = `${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
    return {
      head: Buffer.from(head, "latin1"),
      body: body ?? new Uint8Array(),
      isChunked: isChunked === true,
    };
  }

  /** Opens a session as a client that keeps all rules does. Throws with what came where it was refused. */
  async openSession(name = FIRST_IDENTITY): Promise<ClientSession> {
    const message = { jsonrpc: "2.0", id: 0, method: "initialize", params: INITIALIZE_PARAMS };
    const answer = await this.post(message, this.#proof(name));
    const id = answer.headers.get("mcp-session-id");
    if (id === undefined) throw new Error(`no session: ${answer.status} ${answer.body}`);
    return this.adopt(id, name);
  }

  /** Takes a session that was opened by hand into those that are ended, and tells the gateway that it is in use. */
  async adopt(id: string, name = FIRST_IDENTITY): Promise<ClientSession> {
    const headers = new Map([
      ...this.#proof(name),
      ["mcp-session-id", id],
      ["mcp-protocol-version", REVISION],
    ]);
    const session = { id, headers };
    this.#sessions.push(session);
    await this.post({ jsonrpc: "2.0", method: "notifications/initialized" }, headers);
    return session;
  }

  /** Posts a message and returns the answer. */
  async post(message: JsonObject, headers: ReadonlyMap<string, string>): Promise<HttpAnswer> {
    const connection = await this.#start(message, headers);
    await connection.settled(1);
    const [answer] = connection.answers;
    await connection[Symbol.asyncDispose]();
    if (answer === undefined) throw new Error("the gateway closed the connection unasked");
    return answer;
  }

  /** Brings a backend to ask the client something, and does not answer. */
  async openQuestion(session: ClientSession): Promise<OpenQuestion> {
    const message = {
      jsonrpc: "2.0",
      id: "question",
      method: "tools/call",
      params: { name: "b1_ask", arguments: {} },
    };
    const connection = await this.#start(message, session.headers);
    const question = await askedOn(connection);
    this.#questions.push([session, question.id]);
    const [answer] = connection.answers;
    const eventId = eventIdsIn(answer?.body ?? "").at(-1) ?? "none";
    return { ...question, eventId, connection };
  }

  /** Opens a GET stream of the session. */
  async openStream(session: ClientSession): Promise<ClientConnection> {
    const connection = await this.connect();
    const headers = new Map([...session.headers, ["accept", "text/event-stream"]]);
    await connection.send(this.toOutgoing({ method: "GET", path: "/mcp", headers }));
    await connection.begun();
    return connection;
  }

  /** Ends every session and cuts every connection. Open questions are answered, for a session ends only after its calls. */
  async leave(): Promise<void> {
    for (const [{ headers }, id] of this.#questions) {
      // One that was settled before is dropped.
      // oxlint-disable-next-line no-await-in-loop
      await this.post({ jsonrpc: "2.0", id, result: { action: "decline" } }, headers);
    }
    this.#questions.length = 0;
    for (const { headers } of this.#sessions) {
      // A session that was ended before answers 404, which is as good.
      // oxlint-disable-next-line no-await-in-loop
      await this.#delete(headers);
    }
    this.#sessions.length = 0;
    await Promise.all(this.#connections.map(async (each) => each[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map(async (each) => each[Symbol.asyncDispose]()));
  }

  #proof(name: string): ReadonlyMap<string, string> {
    const proof = this.#proofOf?.(name);
    return new Map(proof === undefined ? [] : [["authorization", proof]]);
  }

  async #delete(headers: ReadonlyMap<string, string>): Promise<void> {
    const connection = await this.connect();
    await connection.send(this.toOutgoing({ method: "DELETE", path: "/mcp", headers }));
    await connection.settled(1);
    await connection[Symbol.asyncDispose]();
  }

  async #start(
    message: JsonObject,
    headers: ReadonlyMap<string, string>,
  ): Promise<ClientConnection> {
    const connection = await this.connect();
    const body = Buffer.from(JSON.stringify(message));
    const all = new Map([...this.#proof(FIRST_IDENTITY), ...headers]);
    const request = { method: "POST", path: "/mcp", headers: postHeaders(all), body };
    await connection.send(this.toOutgoing(request));
    return connection;
  }
}

/** The headers that the transport asks for in a POST, and these. */
export function postHeaders(more: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([
    ["content-type", "application/json"],
    ["accept", "application/json, text/event-stream"],
    ...more,
  ]);
}

/** The JSON-RPC messages in an answer, of whatever form it is; undefined stands for a body that is none. */
export function messagesIn(answer: HttpAnswer): readonly unknown[] {
  if (isEventStream(answer)) return eventsIn(answer.body).map(parsed);
  return answer.body === "" ? [] : [parsed(answer.body)];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function askedOn(connection: ClientConnection): Promise<{ readonly id: string | number }> {
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => reject(new Error("no backend asked anything")), 10_000);
    connection.onMessage = (text) => {
      const message: unknown = JSON.parse(text);
      if (!isJsonObject(message) || message["method"] === undefined) return;
      const { id } = message;
      if (typeof id !== "string" && typeof id !== "number") return;
      clearTimeout(giveUp);
      resolve({ id });
    };
  });
}
