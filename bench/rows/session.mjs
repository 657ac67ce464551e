import { Agent, request } from "node:http";

const REVISION = "2025-11-25";

/** Keeps connections to the gateway open between requests; as many as are needed at once. */
export function newAgent() {
  return new Agent({ keepAlive: true, maxSockets: Infinity, noDelay: true });
}

/** A client's session by hand. Every answer is checked for its id. */
export class Session {
  #url;
  #agent;
  #timeoutMs;
  #lastId = 0;
  #headers = {};

  /** `agent` false takes a connection for each request. */
  constructor(url, { agent = newAgent(), timeoutMs = 30_000 } = {}) {
    this.#url = url;
    this.#agent = agent;
    this.#timeoutMs = timeoutMs;
  }

  get headers() {
    return this.#headers;
  }

  /** Resolves with how long `initialize` took, in milliseconds; rejects with the status where it is refused. */
  async open() {
    const startMs = performance.now();
    const params = {
      protocolVersion: REVISION,
      capabilities: {},
      clientInfo: { name: "rows", version: "1.0.0" },
    };
    const answer = await this.#post({ id: this.#nextId(), method: "initialize", params });
    const tookMs = performance.now() - startMs;
    const id = answer.headers["mcp-session-id"];
    if (id === undefined) throw new HttpRefusal(answer);
    this.#headers = { "mcp-session-id": id, "mcp-protocol-version": REVISION };
    await this.#post({ method: "notifications/initialized" });
    return tookMs;
  }

  /** Calls a tool; resolves with `{status, error, text, bytes, ms}` of the answer, whatever it is. */
  async call(name, args = {}, { meta, onEvent } = {}) {
    return this.request(
      "tools/call",
      { name, arguments: args, ...(meta && { _meta: meta }) },
      onEvent,
    );
  }

  async request(method, params = {}, onEvent) {
    const startMs = performance.now();
    const id = this.#nextId();
    const answer = await this.#post({ id, method, params }, onEvent);
    const ms = performance.now() - startMs;
    const { status, headers } = answer;
    const message = lastMessage(answer);
    if (message !== undefined && message.id !== id && status === 200)
      throw new Error(`the answer to ${message.id} came for ${id}`);
    const text = message?.result?.content?.[0]?.text;
    return {
      status,
      headers,
      error: message?.error,
      result: message?.result,
      text,
      ms,
      bytes: answer.text.length,
    };
  }

  /** All tools, whatever the number of pages. */
  async listTools() {
    const tools = [];
    let cursor;
    do {
      const { result, error } = await this.request(
        "tools/list",
        cursor === undefined ? {} : { cursor },
      );
      if (result === undefined) throw new Error(`tools/list: ${JSON.stringify(error)}`);
      tools.push(...result.tools);
      cursor = result.nextCursor;
    } while (cursor !== undefined);
    return tools;
  }

  /** The bytes of an answer as they came, and how long they took. */
  async requestBytes(method, params) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#nextId(), method, params });
    const headers = {
      ...this.#headers,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      accept: "application/json, text/event-stream",
    };
    const startMs = performance.now();
    const pieces = [];
    await new Promise((resolve, reject) => {
      const outgoing = request(
        this.#url,
        { method: "POST", headers, agent: this.#agent },
        (incoming) => {
          incoming
            .on("data", (piece) => pieces.push(piece))
            .on("error", reject)
            .on("end", resolve);
        },
      );
      outgoing.on("error", reject).end(body);
    });
    return { ms: performance.now() - startMs, bytes: Buffer.concat(pieces) };
  }

  /** Opens the session's own stream; resolves with the response at its head. */
  async openStream() {
    return new Promise((resolve, reject) => {
      const headers = { ...this.#headers, accept: "text/event-stream" };
      request(this.#url, { headers, agent: false }, resolve).on("error", reject).end();
    });
  }

  async delete() {
    return this.#send("DELETE");
  }

  #post(message, onEvent) {
    return this.#send("POST", JSON.stringify({ jsonrpc: "2.0", ...message }), onEvent);
  }

  async #send(method, body, onEvent) {
    const headers = { ...this.#headers };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = Buffer.byteLength(body);
      headers.accept = "application/json, text/event-stream";
    }
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent, timeout: this.#timeoutMs };
      const outgoing = request(this.#url, options, (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk) => {
          if (onEvent !== undefined && incoming.headers["content-type"] === "text/event-stream")
            text = onEvent(text + chunk);
          else text += chunk;
        });
        incoming.on("error", reject);
        incoming.on("end", () => {
          resolve({ status: incoming.statusCode, headers: incoming.headers, text });
        });
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
      outgoing.on("error", (error) => {
        // The gateway closed an idle connection while the request was on its way: nobody has read it.
        const isStale = outgoing.reusedSocket && error.code === "ECONNRESET";
        if (isStale) resolve(this.#send(method, body, onEvent));
        else reject(error);
      });
      outgoing.end(body);
    });
  }

  #nextId() {
    this.#lastId += 1;
    return this.#lastId;
  }
}

/** An answer that is no session. */
export class HttpRefusal extends Error {
  constructor({ status, headers, text }) {
    super(`HTTP ${status}: ${text.slice(0, 200)}`);
    this.status = status;
    this.retryAfter = headers["retry-after"];
    this.isClosing = headers.connection === "close";
  }
}

function lastMessage({ text, headers }) {
  if (text === "") return undefined;
  if (headers["content-type"] !== "text/event-stream") return JSON.parse(text);
  const data = text.split("\n").filter((line) => line.startsWith("data:"));
  const last = data
    .map((line) => line.slice("data:".length).trim())
    .findLast((each) => each !== "");
  return last === undefined ? undefined : JSON.parse(last);
}
