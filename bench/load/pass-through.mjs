// What a Node gateway could cost at best: node:http in, undici's dispatch out, nothing parsed. One backend.
//   node pass-through.mjs --backend URL [--port 0]
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Pool } from "undici";
import { listenAndSay } from "./listen.mjs";

const { values: options } = parseArgs({
  options: { port: { type: "string", default: "0" }, backend: { type: "string" } },
});
const { origin, host } = new URL(options.backend);
const pool = new Pool(origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });

/** Belong to one connection, not to the message (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
]);
/** Answers of at most this many bytes are sent in one write. */
const ONE_WRITE_BYTES = 65_536;

const server = createServer(
  { keepAliveTimeout: 600_000, requestTimeout: 0 },
  (request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const headers = endToEnd(request.headers);
      headers.host = host;
      pool.dispatch(
        { path: request.url, method: request.method, headers, body: bodyOf(chunks) },
        new Relay(response),
      );
    });
  },
);
listenAndSay(server, options.port, "pass-through");

/** Takes the backend's answer from undici and writes it to the client. */
class Relay {
  #response;
  #controller;
  #head;
  #chunks = [];
  #isWhole = false;
  #hasEnded = false;

  constructor(response) {
    this.#response = response;
    response.on("close", () => {
      if (!this.#hasEnded) this.#controller?.abort(new Error("the client is gone"));
    });
  }

  onRequestStart(controller) {
    this.#controller = controller;
  }

  onResponseStart(_controller, status, headers) {
    this.#head = [status, endToEnd(headers)];
    this.#isWhole = Number(headers["content-length"] ?? Infinity) <= ONE_WRITE_BYTES;
    if (this.#isWhole) return;
    this.#response.writeHead(...this.#head);
    this.#response.flushHeaders();
  }

  onResponseData(controller, chunk) {
    if (this.#isWhole) this.#chunks.push(chunk);
    else if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once("drain", () => controller.resume());
    }
  }

  onResponseEnd() {
    this.#hasEnded = true;
    if (this.#isWhole) this.#response.writeHead(...this.#head).end(bodyOf(this.#chunks));
    else this.#response.end();
  }

  onResponseError(_controller, error) {
    this.#hasEnded = true;
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end(error.message);
  }
}

function endToEnd(headers) {
  const kept = {};
  for (const name in headers) if (!HOP_BY_HOP.has(name)) kept[name] = headers[name];
  return kept;
}

function bodyOf(chunks) {
  return chunks.length > 1 ? Buffer.concat(chunks) : chunks[0];
}
