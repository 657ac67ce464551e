// A backend in a process of its own that misbehaves as it is told: by its arguments, and by a file that it reads before
// each call.
//   node backend.mjs --transport http|sse|stdio [--port 0] [--name b1] [--ledger FILE] [--fate FILE]
//     [--tools 0] [--page-size 0] [--initialize-ms 0] [--call-ms 0] [--hang-initialize] [--list-changed 0]
//     [--keep-alive-ms 600000] [--no-streams]
// Tools: nonce {nonce, ms, steps}; echo {text}; big {bytes}; spill {bytes, eventBytes}; swallow {text};
// storm {count, ms}; and `--tools` more.
// `--no-streams` refuses a session's own stream. `--hang-initialize` never answers `initialize`. `--list-changed N` says N times a second that the tools changed.
// The fate is `{"epoch": 0, "calls": "answer"}`: sessions of another epoch are forgotten; calls `answer`, `hang`,
// `die-before` or `die-after` they were executed, give `garbage`, or come after a `flood` of notifications.
// GET /figures tells `{sessions, openedAtMs, initializes, lists, calls, notifications, spilled}` of a backend over HTTP; `sessions`
// are the open ones, `openedAtMs` since when each is, by the wall clock.
import { randomUUID } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { serveHttp } from "./backend-http.mjs";
import { serveSse } from "./backend-sse.mjs";
import { serveStdio } from "./backend-stdio.mjs";

const { values: options } = parseArgs({
  options: {
    transport: { type: "string", default: "http" },
    port: { type: "string", default: "0" },
    name: { type: "string", default: "b1" },
    ledger: { type: "string" },
    fate: { type: "string" },
    tools: { type: "string", default: "0" },
    "page-size": { type: "string", default: "0" },
    "initialize-ms": { type: "string", default: "0" },
    "call-ms": { type: "string", default: "0" },
    "hang-initialize": { type: "boolean", default: false },
    "list-changed": { type: "string", default: "0" },
    "keep-alive-ms": { type: "string", default: "600000" },
    "no-streams": { type: "boolean", default: false },
  },
});

const FLOOD = 2_000;
const SOUND = { epoch: 0, calls: "answer" };
const GARBAGE = '{"jsonrpc":"2.0","id"';

const figures = { initializes: 0, lists: 0, calls: 0, notifications: 0, spilled: 0 };

const tools = [
  toolOf("nonce", "Returns its nonce, after a while and with steps of progress."),
  toolOf("echo", "Returns its text."),
  toolOf("big", "Returns a text of the given size."),
  toolOf("spill", "Sends that much in events of that size."),
  toolOf("swallow", "Returns the length of its text."),
  toolOf("storm", "Reports progress as often as it is told."),
  ...Array.from({ length: Number(options.tools) }, (_value, index) =>
    toolOf(
      `wide_${String(index).padStart(3, "0")}`,
      "One of many, with a description as long as they commonly are: what it does, what it needs, what it returns.",
    ),
  ),
];

function toolOf(name, description) {
  const properties = { text: { type: "string", description: "What it works on." } };
  return { name, description, inputSchema: { type: "object", properties } };
}

/** What the transports share: how a message of a session is answered. */
const backend = {
  options,
  figures,
  serverOptions: { keepAliveTimeout: Number(options["keep-alive-ms"]), requestTimeout: 0 },
  listChangedPerSecond: Number(options["list-changed"]),
  newSession: () => ({
    id: randomUUID(),
    epoch: readFate().epoch,
    openedAtMs: Date.now(),
    running: new Map(),
  }),
  isForgotten: (session) => session.epoch !== readFate().epoch,
  receive,
};

/**
 * Deals with one message. `reply` has `message(text)` for what comes before the answer and `answer(text)` for the
 * answer; `answer(undefined)` ends the exchange without one.
 */
async function receive(session, message, reply) {
  const { id, method, params = {} } = message;
  if (method === "notifications/cancelled") session.running.get(params.requestId)?.abort();
  if (id === undefined || method === undefined) return;
  const answerWith = (outcome) => reply.answer(JSON.stringify({ jsonrpc: "2.0", id, ...outcome }));
  if (method === "tools/call") await call(session, message, reply, answerWith);
  else if (method !== "initialize") answerWith(outcomeOf(method, params));
  else if (!options["hang-initialize"]) {
    figures.initializes += 1;
    await pause(Number(options["initialize-ms"]));
    answerWith({ result: greeting(params) });
  }
}

function greeting({ protocolVersion }) {
  return {
    protocolVersion,
    capabilities: { tools: { listChanged: true }, logging: {} },
    serverInfo: { name: options.name, version: "1.0.0" },
  };
}

function outcomeOf(method, { cursor }) {
  if (method === "tools/list") {
    figures.lists += 1;
    return { result: pageOf(cursor) };
  }
  if (method === "ping" || method === "logging/setLevel") return { result: {} };
  return { error: { code: -32_601, message: "Method not found" } };
}

function pageOf(cursor) {
  const size = Number(options["page-size"]) || tools.length;
  const start = Number(cursor ?? 0);
  const end = start + size;
  const next = end < tools.length ? { nextCursor: String(end) } : {};
  return { tools: tools.slice(start, end), ...next };
}

async function call(session, { id, params }, reply, answerWith) {
  const fate = readFate().calls;
  if (fate === "die-before") process.kill(process.pid, "SIGKILL");
  record(session, params.arguments?.nonce);
  figures.calls += 1;
  if (fate === "die-after") process.kill(process.pid, "SIGKILL");
  if (fate === "garbage") {
    reply.answer(GARBAGE);
    return;
  }
  const abort = new AbortController();
  session.running.set(id, abort);
  try {
    if (fate === "hang") await hang(abort.signal);
    if (fate === "flood") flood(reply);
    const text = await run(params, reply, abort.signal);
    if (abort.signal.aborted) reply.answer(undefined);
    else answerWith({ result: { content: [{ type: "text", text }] } });
  } finally {
    session.running.delete(id);
  }
}

/** Forever, unless it is cancelled or healed. */
async function hang(signal) {
  while (!signal.aborted && readFate().calls === "hang") await pause(50);
}

function flood(reply) {
  for (let count = 0; count < FLOOD; count += 1)
    notify(reply, "notifications/message", { level: "info", data: `flood ${count}` });
}

const RUN = new Map([
  ["nonce", runNonce],
  ["echo", ({ text }) => text],
  ["big", ({ bytes }) => "x".repeat(bytes)],
  ["swallow", ({ text }) => String(text.length)],
  ["spill", runSpill],
  ["storm", runStorm],
]);

async function run({ name, arguments: args = {}, _meta: meta }, reply, signal) {
  await pause(Number(options["call-ms"]));
  const work = RUN.get(name) ?? (() => name);
  return work(args, reply, signal, meta?.progressToken);
}

async function runNonce({ nonce, ms = 0, steps = 0 }, reply, signal, progressToken) {
  for (let step = 1; step <= steps && !signal.aborted; step += 1) {
    await pause(ms / steps);
    if (progressToken !== undefined && !signal.aborted)
      notify(reply, "notifications/progress", { progressToken, progress: step, total: steps });
  }
  if (steps === 0) await pause(ms);
  return nonce;
}

/** No faster than it is read. */
async function runSpill({ bytes, eventBytes }, reply, signal) {
  const data = "x".repeat(eventBytes);
  let sent = 0;
  for (; sent < bytes && !signal.aborted; sent += eventBytes) {
    notify(reply, "notifications/message", { level: "info", data });
    figures.spilled += eventBytes;
    await reply.drained?.();
  }
  return String(sent);
}

/** `count` reports within `ms`, twenty bundles a second. */
async function runStorm({ count, ms }, reply, signal, progressToken) {
  const start = performance.now();
  let sent = 0;
  while (sent < count && !signal.aborted) {
    const due = Math.min(count, Math.ceil(((performance.now() - start + 50) / ms) * count));
    for (; sent < due; sent += 1)
      notify(reply, "notifications/progress", { progressToken, progress: sent });
    await pause(50);
  }
  return String(sent);
}

function notify(reply, method, params) {
  figures.notifications += 1;
  reply.message(JSON.stringify({ jsonrpc: "2.0", method, params }));
}

function record(session, nonce) {
  if (options.ledger === undefined || nonce === undefined) return;
  const entry = { backend: options.name, backendSession: session.id, nonce };
  appendFileSync(options.ledger, `${JSON.stringify(entry)}\n`);
}

/** A file that is being replaced, or was never written, tells nothing: then all is well. */
function readFate() {
  if (options.fate === undefined) return SOUND;
  try {
    return JSON.parse(readFileSync(options.fate, "utf8"));
  } catch {
    return SOUND;
  }
}

async function pause(ms) {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

const SERVE = new Map([
  ["http", serveHttp],
  ["sse", serveSse],
  ["stdio", serveStdio],
]);
SERVE.get(options.transport)(backend);
