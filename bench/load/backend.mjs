// A stand-in MCP backend that costs as little as one can: streamable HTTP with sessions on node:http, or stdio.
//   node backend.mjs [--port 0] [--tools 0] [--stdio]
// Tools: echo {text} → the text; big {bytes} → a text of that size; swallow {text} → the text's length; stream {text} →
// the text as an event; steps {count} → so many progress notifications before the number. --tools adds others to the list.
// Any path is served; under /after-35-ms/… `initialize` takes that long. GET /figures tells what it was asked.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { listenAndSay } from "./listen.mjs";
import { createStandIn } from "./stand-in.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    tools: { type: "string", default: "0" },
    stdio: { type: "boolean", default: false },
  },
});
const standIn = createStandIn(Number(options.tools));
const sessions = new Set();
const figures = { initializes: 0, lists: 0, calls: 0, starting: 0, peakStarting: 0 };

if (options.stdio) serveStdio();
else
  listenAndSay(
    createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 }, serve),
    options.port,
    "backend",
  );

function serveStdio() {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.id === undefined) return;
    if (message.method === "initialize") {
      say(standIn.initialize(message));
      return;
    }
    for (const text of standIn.progress(message)) say(text);
    say(standIn.answer(message));
  });
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

function serve(request, response) {
  if (request.method === "POST") {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => post(request, JSON.parse(Buffer.concat(chunks)), response));
    return;
  }
  const sessionId = request.headers["mcp-session-id"];
  if (request.url === "/figures")
    send(response, JSON.stringify({ ...figures, sessions: sessions.size }));
  // No stream of our own: nothing is ever sent outside a call.
  else if (request.method === "GET") refuse(response, 405);
  else if (sessions.delete(sessionId)) response.writeHead(200, { "content-length": 0 }).end();
  else refuse(response, 404);
}

function post({ url, headers }, message, response) {
  const sessionId = headers["mcp-session-id"];
  if (message.method === "initialize") start(url, message, response);
  else if (!sessions.has(sessionId)) refuse(response, sessionId === undefined ? 400 : 404);
  else if (message.id === undefined) response.writeHead(202).end();
  else {
    if (message.method === "tools/list") figures.lists += 1;
    if (message.method === "tools/call") figures.calls += 1;
    if (standIn.isStreamed(message))
      stream(response, standIn.progress(message), standIn.answer(message));
    else send(response, standIn.answer(message));
  }
}

function start(url, message, response) {
  figures.initializes += 1;
  figures.starting += 1;
  figures.peakStarting = Math.max(figures.peakStarting, figures.starting);
  const finish = () => {
    figures.starting -= 1;
    const id = randomUUID();
    sessions.add(id);
    send(response, standIn.initialize(message), { "mcp-session-id": id });
  };
  const delayMs = Number(/\/after-(\d+)-ms\//.exec(url)?.[1] ?? 0);
  if (delayMs === 0) finish();
  else setTimeout(finish, delayMs);
}

/** One write per event, each in a turn of its own: progress is reported while work goes on, not all at once. */
function stream(response, notes, answer) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  let sent = 0;
  const next = () => {
    if (sent === notes.length) {
      response.end(eventOf(answer));
      return;
    }
    response.write(eventOf(notes[sent]));
    sent += 1;
    setImmediate(next);
  };
  next();
}

function eventOf(text) {
  return `event: message\ndata: ${text}\n\n`;
}

function send(response, text, headers = {}) {
  const body = Buffer.from(text);
  response.writeHead(200, {
    ...headers,
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
}

function refuse(response, status) {
  response.writeHead(status, { "content-length": 0 }).end();
}
