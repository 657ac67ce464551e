import type { ServerResponse } from "node:http";
import { once, setMaxListeners } from "node:events";
import { gzipSync } from "node:zlib";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { beginStream, writeEvent } from "../support/http-reply.ts";
import { toBytes } from "./generators.ts";
import { RESULT } from "./rig-tools.ts";
import { textOf } from "./text-of.ts";

/** A message that a backend misbehaves on. */
export interface BehavedCall {
  readonly message: JsonObject;
  readonly response: ServerResponse;
  /** Writes the execution into the ledger. */
  execute(): void;
  /** Resolves with the client's answer to a request of the backend's with this id. */
  answerTo(id: string | number, signal: AbortSignal): Promise<JsonObject>;
}

/** Does one thing; true means that nothing comes after it. */
type Step = (value: unknown, call: BehavedCall) => boolean | Promise<boolean>;

/** Written at a time where a backend goes on without end. */
const ENDLESS_PART = "a".repeat(64 * 1024);

/** A client that has not answered by now does not answer any more. */
const ANSWER_TIMEOUT_MS = 5_000;

const ResponseParts = z.strictObject({
  status: z.int().default(200),
  type: z.string().optional(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
  gzipOf: z.unknown().optional(),
  bodyBytes: z.int().optional(),
});

const ServerRequest = z.strictObject({
  serverRequest: z.string(),
  count: z.int().default(1),
  id: z.union([z.string(), z.number()]).optional(),
  params: z.record(z.string(), z.unknown()).optional(),
});

const Flood = z.strictObject({ method: z.string(), rate: z.int(), seconds: z.number() });

/** What a step with this member does to the message at hand. */
const STEPS: ReadonlyMap<string, Step> = new Map<string, Step>([
  [
    "execute",
    (_value, call) => {
      call.execute();
      return false;
    },
  ],
  ["hang", () => true],
  [
    "delayMs",
    async (ms) => {
      await delay(z.number().parse(ms));
      return false;
    },
  ],
  ["reset", (when, call) => reset(String(when), call)],
  ["drip", drip],
  [
    "rawHttp",
    (bytes, { response }) => {
      response.socket?.end(toBytes(bytes, "latin1"));
      return true;
    },
  ],
  ["reply", reply],
  ["resultNested", (depth, call) => answer(call, nested(z.int().parse(depth)))],
  ["replyId", (kind, call) => answerOther(call, String(kind))],
  ["replyTwice", replyTwice],
  ["sseEndless", sseEndless],
  ["sseSlice", sseSlice],
  [
    "sse",
    (texts, { response }) => {
      startStream(response);
      for (const text of z.array(z.string()).parse(texts)) response.write(text);
      return false;
    },
  ],
  ["progressMessage", (message, call) => progress(call, tokenOf(call), { message })],
  ["progressToken", (token, call) => progress(call, token, {})],
  ["flood", flood],
]);

/** Members of a step that say more about the one that names it. */
const STEP_DETAILS: ReadonlySet<string> = new Set(["count", "id", "params", "onBackends"]);

/** Does all steps in order; where none was the last, the message is answered as if nothing had happened. */
export async function performSteps(
  steps: readonly Readonly<Record<string, unknown>>[],
  call: BehavedCall,
): Promise<void> {
  for (const step of steps) {
    // The steps follow one another.
    // oxlint-disable-next-line no-await-in-loop
    if (await performStep(step, call)) return;
  }
  if (!steps.some((step) => "execute" in step)) call.execute();
  answer(call, RESULT);
}

/** Whether each member of a step is known. */
export function isKnownStep(step: Readonly<Record<string, unknown>>): boolean {
  if ("serverRequest" in step)
    return Object.keys(step).every((key) => key === "serverRequest" || STEP_DETAILS.has(key));
  return Object.keys(step).every((key) => STEPS.has(key));
}

async function performStep(
  step: Readonly<Record<string, unknown>>,
  call: BehavedCall,
): Promise<boolean> {
  if ("serverRequest" in step) return askClient(step, call);
  const outcomes: boolean[] = [];
  for (const [name, value] of Object.entries(step)) {
    // One member after the other.
    // oxlint-disable-next-line no-await-in-loop
    outcomes.push((await STEPS.get(name)?.(value, call)) ?? false);
  }
  return outcomes.includes(true);
}

/** The answer with this result, on the stream if there is one. */
function answer(call: BehavedCall, resultJson: string): true {
  return answerText(call, `{"jsonrpc":"2.0","id":${idOf(call)},"result":${resultJson}}`);
}

function answerText({ response }: BehavedCall, text: string): true {
  if (response.headersSent) {
    writeEvent(response, text);
    response.end();
    return true;
  }
  response.writeHead(200, { "content-type": "application/json" }).end(text);
  return true;
}

function idOf({ message }: BehavedCall): string {
  return JSON.stringify(message["id"] ?? null);
}

function reset(when: string, { response }: BehavedCall): true {
  if (when === "mid-body")
    response.writeHead(200, { "content-type": "application/json", "content-length": 1000 });
  if (when === "mid-body") response.write('{"jsonrpc"');
  const { socket } = response;
  // What was written before is to be on its way when the reset comes.
  if (when === "mid-body") setImmediate(() => socket?.destroy());
  else socket?.resetAndDestroy();
  return true;
}

function drip(value: unknown, { response }: BehavedCall): true {
  const { everyMs } = z.strictObject({ everyMs: z.number() }).parse(value);
  response.writeHead(200, { "content-type": "application/json" });
  response.write(" ");
  const timer = setInterval(() => response.write(" "), everyMs);
  response.on("close", () => clearInterval(timer));
  return true;
}

async function reply(value: unknown, call: BehavedCall): Promise<true> {
  const { status, type, headers, body, gzipOf, bodyBytes } = ResponseParts.parse(value);
  const { response } = call;
  response.writeHead(status, {
    "content-type": type ?? "application/json",
    ...(gzipOf !== undefined && { "content-encoding": "gzip" }),
    ...headers,
  });
  if (gzipOf !== undefined) response.end(gzipSync(toBytes(gzipOf)));
  else if (bodyBytes === undefined) response.end(body === undefined ? "" : bodyOf(body, call));
  else await writeBytes(response, bodyBytes, idOf(call));
  return true;
}

function bodyOf(body: unknown, call: BehavedCall): Uint8Array {
  if (typeof body === "string" || body instanceof Uint8Array) return toBytes(body);
  const text = JSON.stringify(body).replaceAll('"${ID}"', () => idOf(call));
  return Buffer.from(text);
}

/** A sound answer of about this many bytes, written as it is taken. */
async function writeBytes(response: ServerResponse, size: number, idJson: string): Promise<void> {
  response.write(`{"jsonrpc":"2.0","id":${idJson},"result":{"content":[{"type":"text","text":"`);
  for (let left = size; left > 0 && !response.destroyed; left -= ENDLESS_PART.length) {
    // As fast as it is taken.
    // oxlint-disable-next-line no-await-in-loop
    await writeOrWait(response, ENDLESS_PART);
  }
  response.end('"}]}}');
}

function nested(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

function answerOther(call: BehavedCall, kind: string): true {
  const ids = new Map([
    ["stringified", JSON.stringify(textOf(call.message["id"]))],
    ["wrong", "987654"],
    ["null", "null"],
  ]);
  const id = ids.get(kind);
  if (id === undefined) throw new TypeError(`replyId "${kind}" is not known`);
  return answerText(call, `{"jsonrpc":"2.0","id":${id},"result":${RESULT}}`);
}

/** Two answers with different results; the client is to get the first. */
function replyTwice(_value: unknown, call: BehavedCall): true {
  startStream(call.response);
  const second = '{"content":[{"type":"text","text":"the second answer"}]}';
  writeEvent(call.response, `{"jsonrpc":"2.0","id":${idOf(call)},"result":${RESULT}}`);
  writeEvent(call.response, `{"jsonrpc":"2.0","id":${idOf(call)},"result":${second}}`);
  call.response.end();
  return true;
}

async function sseEndless(_value: unknown, { response }: BehavedCall): Promise<true> {
  startStream(response);
  response.write("data: ");
  while (!response.destroyed) {
    // As fast as it is taken.
    // oxlint-disable-next-line no-await-in-loop
    await writeOrWait(response, ENDLESS_PART);
  }
  return true;
}

/** The answer as one event in segments of so many bytes, each on its way before the next is written. */
async function sseSlice(size: unknown, call: BehavedCall): Promise<true> {
  const { response } = call;
  call.execute();
  startStream(response);
  response.socket?.setNoDelay(true);
  const event = `data: {"jsonrpc":"2.0","id":${idOf(call)},"result":${RESULT}}\n\n`;
  const bytes = Buffer.from(event);
  const step = z.int().positive().parse(size);
  for (let at = 0; at < bytes.length; at += step) {
    response.write(bytes.subarray(at, at + step));
    // oxlint-disable-next-line no-await-in-loop
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  response.end();
  return true;
}

function progress(call: BehavedCall, progressToken: unknown, more: object): false {
  const params = { progressToken, progress: 1, ...more };
  startStream(call.response);
  writeEvent(
    call.response,
    JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params }),
  );
  return false;
}

/** The token that the client gave with the call. */
function tokenOf({ message }: BehavedCall): unknown {
  const params = isJsonObject(message["params"]) ? message["params"] : {};
  return isJsonObject(params["_meta"]) ? params["_meta"]["progressToken"] : undefined;
}

async function flood(value: unknown, call: BehavedCall): Promise<false> {
  const { method, rate, seconds } = Flood.parse(value);
  const { response } = call;
  startStream(response);
  const tick = 50;
  const perTick = Math.ceil((rate * tick) / 1000);
  const ticks = Math.ceil((seconds * 1000) / tick);
  for (let n = 0; n < ticks && !response.destroyed; n += 1) {
    for (let sent = 0; sent < perTick; sent += 1) {
      const params = { progressToken: tokenOf(call), progress: n * perTick + sent };
      writeEvent(response, JSON.stringify({ jsonrpc: "2.0", method, params }));
    }
    // The rate is the point.
    // oxlint-disable-next-line no-await-in-loop
    await delay(tick);
  }
  return false;
}

/** Asks the client as often as it says, all at once, and goes on when every question is answered or given up. */
async function askClient(
  step: Readonly<Record<string, unknown>>,
  call: BehavedCall,
): Promise<false> {
  const { onBackends: _names, ...asked } = step;
  const { serverRequest: method, count, id, params } = ServerRequest.parse(asked);
  startStream(call.response);
  const giveUp = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  setMaxListeners(0, giveUp);
  const answers = Array.from({ length: count }, async (_question, index) => {
    const own = id ?? `q${index}`;
    const answered = call.answerTo(own, giveUp);
    const text = JSON.stringify({ jsonrpc: "2.0", id: own, method, params: params ?? QUESTION });
    writeEvent(call.response, text);
    return answered;
  });
  await Promise.allSettled(answers);
  return false;
}

const QUESTION: JsonObject = {
  message: "How old?",
  requestedSchema: { type: "object", properties: { age: { type: "integer" } } },
};

function startStream(response: ServerResponse): void {
  if (!response.headersSent) beginStream(response, {});
}

/** Writes, and waits for the reader where that is too much for it. */
export async function writeOrWait(response: ServerResponse, part: string): Promise<void> {
  if (response.write(part)) return;
  const settled = new AbortController();
  const { signal } = settled;
  await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]);
  settled.abort();
}
