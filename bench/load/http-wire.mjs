import { connect } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

/**
 * One keep-alive HTTP connection on a bare socket, one exchange at a time. An HTTP client would cost the generator more
 * than the gateway costs.
 */
export class HttpWire {
  #url;
  #socket;
  #buffer = Buffer.alloc(0);
  #waiting;

  constructor(url) {
    this.#url = url;
  }

  /** Posts a message; resolves with `{status, sessionId, isEventStream, text}`, with `gzip` in place of the text of a compressed body. */
  async post(body, headers = "") {
    const length = Buffer.byteLength(body);
    return this.#exchange(`${this.#head("POST", headers)}Content-Length: ${length}\r\n\r\n${body}`);
  }

  /** Ends the session that the headers name. */
  async delete(headers) {
    return this.#exchange(`${this.#head("DELETE", headers)}\r\n`);
  }

  #head(method, headers) {
    const { pathname, search, host } = this.#url;
    return `${method} ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n${headers}`;
  }

  async #exchange(request, timeoutMs = 30_000) {
    if (this.#socket === undefined) await this.#connect();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.setTimeout(timeoutMs);
      this.#socket.write(request);
    });
  }

  close() {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #connect() {
    const socket = connect({
      host: this.#url.hostname,
      port: Number(this.#url.port),
      noDelay: true,
    });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("timeout", () => socket.destroy(new Error("no answer in time")));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#fail(new Error("the connection was closed"));
    });
    this.#socket = socket;
    this.#buffer = Buffer.alloc(0);
  }

  #take(chunk) {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const answer = parseAnswer(this.#buffer);
    if (answer === undefined) return;
    this.#buffer = this.#buffer.subarray(answer.bytes);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  #fail(error) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

/** Undefined while the answer is not complete. */
function parseAnswer(buffer) {
  const headEnd = buffer.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = buffer.latin1Slice(0, headEnd);
  const start = headEnd + HEAD_END.length;
  const found = /\r\ntransfer-encoding: *chunked/i.test(head)
    ? chunkedBody(buffer, start)
    : sizedBody(buffer, start, Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0));
  if (found === undefined) return undefined;
  const { body, bytes } = found;
  return {
    status: Number(head.slice(9, 12)),
    sessionId: /\r\nmcp-session-id: *([^\r]+)/i.exec(head)?.[1],
    isEventStream: /\r\ncontent-type: *text\/event-stream/i.test(head),
    ...(/\r\ncontent-encoding: *gzip/i.test(head) ? { gzip: body } : { text: body.utf8Slice() }),
    bytes,
  };
}

function sizedBody(buffer, start, length) {
  const bytes = start + length;
  return buffer.length < bytes ? undefined : { body: buffer.subarray(start, bytes), bytes };
}

function chunkedBody(buffer, start) {
  const parts = [];
  let at = start;
  for (;;) {
    const lineEnd = buffer.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(buffer.latin1Slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (buffer.length < end + 2) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), bytes: end + 2 };
    parts.push(buffer.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
