import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/domain/json.ts";
import type { Ledger } from "./ledger.ts";
import { declaredCapabilities, pageOf, type LedgerScript } from "./ledger-script.ts";
import { rawAt } from "./raw-json.ts";
import { BUILT_IN_TOOLS, builtInEntries, stringOr, type ToolCall } from "./scripted-tools.ts";

/** Where the answer to one request goes: any number of events, then one answer or a crash. */
export interface ReplyChannel {
  event(text: string): void;
  answer(text: string): void;
  crash(exitCode: number): void;
}

/** What a session needs of the backend that it belongs to. */
export interface SessionHost {
  readonly script: LedgerScript;
  readonly ledger: Ledger;
  /** Resolves when the script satisfies the condition. */
  until(condition: (script: LedgerScript) => boolean): Promise<void>;
}

interface ScriptedRequest {
  readonly id: string | number;
  readonly method: string;
  readonly params: JsonObject;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  readonly reply: ReplyChannel;
  readonly signal: AbortSignal;
}

class Fault extends Error {
  override readonly name = "Fault";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const NEWEST_REVISION = "2025-11-25";
const LOG_LEVELS = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

/**
 * One session with a scripted backend: it takes messages as text, whatever carried them, writes them into the
 * ledger and answers as the script says.
 */
export class ScriptedSession {
  /** Random, and not the HTTP session id, so that tests can show it. */
  readonly tag = randomUUID().slice(0, 8);
  readonly subscriptions = new Set<string>();
  /** What the client asked for in `initialize`, once it did. */
  clientParams: JsonObject = {};
  isInitialized = false;
  logLevel: string | undefined;
  #counter = 0;
  #asked = 0;
  readonly #host: SessionHost;
  readonly #inFlight = new Map<string | number, AbortController>();
  readonly #waiting = new Map<string | number, (text: string) => void>();

  constructor(host: SessionHost) {
    this.#host = host;
  }

  /** Whether it is the gateway's own, which looks whether the backend is there, and no client's. */
  get isProbe(): boolean {
    const { clientInfo } = this.clientParams;
    return isJsonObject(clientInfo) && clientInfo["name"] === "vmcp-probe";
  }

  /** Takes one message. Resolves when it is dealt with, which for a request means answered or given up. */
  async receive(
    text: string,
    reply: ReplyChannel,
    headers: IncomingHttpHeaders = {},
  ): Promise<void> {
    const message: unknown = JSON.parse(text);
    if (!isJsonObject(message)) throw new TypeError("a message is a JSON object");
    const { id, method } = message;
    const params = isJsonObject(message["params"]) ? message["params"] : {};
    const isId = typeof id === "string" || typeof id === "number";
    const name = typeof method === "string" ? method : undefined;
    this.#host.ledger.messages.push({
      session: this.tag,
      method: name,
      id: isId ? id : undefined,
      text,
      headers,
    });

    if (name === undefined) return isId ? this.#settle(id, text) : undefined;
    if (!isId) return this.#takeNotification(name, params);
    const abort = new AbortController();
    this.#inFlight.set(id, abort);
    const request = { id, method: name, params, text, headers, reply, signal: abort.signal };
    await this.#answer(request).finally(() => this.#inFlight.delete(id));
  }

  /**
   * Sends a request to the client through `send` and waits for the JSON text of its answer: the whole message.
   * Rejects when the signal aborts.
   */
  async ask(
    method: string,
    params: JsonObject,
    send: (text: string) => void,
    signal?: AbortSignal,
  ): Promise<string> {
    this.#asked += 1;
    const id = this.#asked;
    try {
      return await new Promise<string>((resolve, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("cancelled")), { once: true });
        this.#waiting.set(id, resolve);
        send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      });
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Gives up everything that is in flight, without answers. */
  abandon(): void {
    for (const abort of this.#inFlight.values()) abort.abort();
  }

  #settle(id: string | number, text: string): void {
    this.#waiting.get(id)?.(text);
  }

  #takeNotification(method: string, params: JsonObject): void {
    if (method === "notifications/initialized") this.isInitialized = true;
    if (method !== "notifications/cancelled") return;
    const { requestId, reason } = params;
    const isId = typeof requestId === "string" || typeof requestId === "number";
    const abort = isId ? this.#inFlight.get(requestId) : undefined;
    this.#host.ledger.cancellations.push({
      session: this.tag,
      requestId,
      reason,
      atMs: performance.now(),
      wasInFlight: abort !== undefined,
    });
    abort?.abort();
  }

  async #answer(request: ScriptedRequest): Promise<void> {
    const head = `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},`;
    try {
      const result = await this.#resultOf(request);
      if (result !== undefined) request.reply.answer(`${head}"result":${result}}`);
    } catch (error) {
      if (request.signal.aborted) return;
      const fault = error instanceof Fault ? error : new Fault(-32_603, String(error));
      const { code, message } = fault;
      request.reply.answer(`${head}"error":${JSON.stringify({ code, message })}}`);
    }
  }

  async #resultOf(request: ScriptedRequest): Promise<string | undefined> {
    const { params } = request;
    const { script } = this.#host;
    switch (request.method) {
      case "initialize":
        return this.#initialize(request);
      case "ping":
        return this.#ping();
      case "logging/setLevel":
        this.logLevel = stringOr(params["level"], "");
        return "{}";
      case "tools/list": {
        const builtIn = script.hasBuiltInTools ? builtInEntries() : [];
        return pageOf("tools", [...builtIn, ...script.tools], script.pageSize, params["cursor"]);
      }
      case "tools/call":
        return this.#callTool(request);
      case "completion/complete":
        return script.completion;
      default:
        return this.#resourceOrPrompt(request.method, params);
    }
  }

  async #ping(): Promise<string> {
    await this.#host.until((script) => script.ping !== "hang");
    const { script } = this.#host;
    if (script.pingDelayMs > 0) await delay(script.pingDelayMs);
    if (script.ping === "unknown") throw new Fault(-32_601, "Method not found: ping");
    return "{}";
  }

  #resourceOrPrompt(method: string, params: JsonObject): string {
    const { script } = this.#host;
    const uri = stringOr(params["uri"], "");
    const { cursor } = params;
    switch (method) {
      case "resources/list":
        return pageOf("resources", script.resources, script.pageSize, cursor);
      case "resources/templates/list":
        return pageOf("resourceTemplates", script.resourceTemplates, script.pageSize, cursor);
      case "resources/read":
        return script.contents.get(uri) ?? defaultContents(script.name, uri);
      case "resources/subscribe":
        this.subscriptions.add(uri);
        return "{}";
      case "resources/unsubscribe":
        this.subscriptions.delete(uri);
        return "{}";
      case "prompts/list":
        return pageOf("prompts", script.prompts, script.pageSize, cursor);
      case "prompts/get":
        return this.#prompt(stringOr(params["name"], ""));
      default:
        throw new Fault(-32_601, `Method not found: ${method}`);
    }
  }

  async #initialize({ params, text, headers, id }: ScriptedRequest): Promise<string> {
    this.clientParams = params;
    const received = { session: this.tag, method: "initialize", id, text, headers };
    this.#host.ledger.initializes.push(received);
    await this.#host.until((script) => script.initialize !== "hang");
    const { script } = this.#host;
    if (script.initDelayMs > 0) await delay(script.initDelayMs);
    if (script.initialize === "fail") throw new Fault(-32_603, "cannot start");
    const revision = script.revision ?? params["protocolVersion"] ?? NEWEST_REVISION;
    const instructions =
      script.instructions === undefined
        ? ""
        : `,"instructions":${JSON.stringify(script.instructions)}`;
    const info = JSON.stringify({ name: script.name, version: "1.0.0" });
    return `{"protocolVersion":${JSON.stringify(revision)},"capabilities":${declaredCapabilities(script)},"serverInfo":${info}${instructions}}`;
  }

  async #callTool(request: ScriptedRequest): Promise<string | undefined> {
    const { params, text, headers } = request;
    const { script, ledger } = this.#host;
    const tool = stringOr(params["name"], "");
    const args = isJsonObject(params["arguments"]) ? params["arguments"] : {};
    const nonce = typeof args["nonce"] === "string" ? args["nonce"] : undefined;
    const argumentsText = rawAt(text, ["params", "arguments"]);
    const builtIn = script.hasBuiltInTools ? BUILT_IN_TOOLS.get(tool) : undefined;
    const scripted = script.results.get(tool);
    if (scripted === undefined && builtIn === undefined)
      throw new Fault(-32_602, `Unknown tool: ${tool}`);
    if (script.callFate === "die-before") return crashed(request.reply);
    const atMs = performance.now();
    ledger.calls.push({ session: this.tag, tool, nonce, argumentsText, atMs, headers });
    if (script.callFate === "die-after") return crashed(request.reply);
    if (script.callFate === "hang") return untilAborted(request.signal);
    if (scripted !== undefined) return scripted;
    return builtIn?.run(this.#toolCall(request, args, argumentsText));
  }

  #toolCall(
    request: ScriptedRequest,
    args: JsonObject,
    argumentsText: string | undefined,
  ): ToolCall {
    const { reply, signal, params } = request;
    const meta = isJsonObject(params["_meta"]) ? params["_meta"] : {};
    return {
      args,
      argumentsText,
      progressToken: meta["progressToken"],
      signal,
      backendName: this.#host.script.name,
      sessionTag: this.tag,
      count: () => (this.#counter += 1),
      notify: (method, notified) => reply.event(notification(method, notified)),
      ask: async (method, asked) => this.ask(method, asked, (text) => reply.event(text), signal),
      isLogged: (level) =>
        this.logLevel === undefined ||
        LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.logLevel),
      crash: (exitCode) => reply.crash(exitCode),
    };
  }

  #prompt(name: string): string {
    const { script } = this.#host;
    const known = script.prompts.some((prompt) => nameOf(prompt) === name);
    if (!known) throw new Fault(-32_602, `Unknown prompt: ${name}`);
    const text = `prompt ${name} of ${script.name}`;
    const messages = [{ role: "user", content: { type: "text", text } }];
    return script.promptResults.get(name) ?? JSON.stringify({ messages });
  }
}

/** A notification as JSON text. */
export function notification(method: string, params: JsonValue | undefined): string {
  return JSON.stringify({ jsonrpc: "2.0", method, ...(params !== undefined && { params }) });
}

function crashed(reply: ReplyChannel): undefined {
  reply.crash(1);
}

async function untilAborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, "abort");
}

function defaultContents(name: string, uri: string): string {
  return JSON.stringify({
    contents: [{ uri, mimeType: "text/plain", text: `${uri} of ${name}` }],
  });
}

function nameOf(entry: string): unknown {
  const value: unknown = JSON.parse(entry);
  return isJsonObject(value) ? value["name"] : undefined;
}
