import type { IncomingMessage, ServerResponse } from "node:http";
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import { writeEvent, beginStream } from "../support/http-reply.ts";
import type { Behaviour } from "./entry.ts";
import { isKnownStep, performSteps } from "./http-steps.ts";
import { listAnswer, scriptOf } from "./list-steps.ts";
import type { RigBackend } from "./rig-backend.ts";
import { RESULT } from "./rig-tools.ts";
import { textOf } from "./text-of.ts";

type Do = Readonly<Record<string, unknown>>;

export interface HttpBackendOptions {
  readonly name: string;
  readonly script: Partial<LedgerScript>;
  readonly behaviour?: Behaviour;
  /** While this file exists, the gateway finds no address for `localhost`. */
  readonly dnsSwitch: string;
  /** Added to its entry in `backends`. */
  readonly configuration: JsonObject;
}

/** What the backend does to its connections and not to a message, and so before the message. */
const CONNECTION_STEPS: ReadonlySet<string> = new Set(["refuse", "dns"]);

const SLOW_TOOL_MS = new Map([
  ["slow", 1_000],
  ["slow10s", 10_000],
]);

/** Starts a ledger backend over streamable HTTP that behaves. Throws for a behaviour that nobody has taught it. */
export async function startHttpBackend(options: HttpBackendOptions): Promise<HttpBackend> {
  const ledger = await startHttpLedger({
    ...options.script,
    ...scriptOf(options.behaviour, options.script),
  });
  const backend = new HttpBackend(ledger, options);
  if (options.behaviour?.on !== "tools/call") await backend.arm();
  return backend;
}

/** Made by `startHttpBackend`. */
export class HttpBackend implements RigBackend {
  readonly ledger: HttpLedger;
  readonly configuration: JsonObject;
  readonly #dnsSwitch: string;
  readonly #behaviour: Behaviour | undefined;
  /** What is done to a message that the behaviour is about. */
  readonly #messageSteps: readonly Do[];
  readonly #waiting = new Map<string, (answer: JsonObject) => void>();
  #hasForgotten = false;
  #isUnreachable = false;
  #cutRequests = 0;
  readonly #bodies: string[] = [];

  constructor(ledger: HttpLedger, options: HttpBackendOptions) {
    this.ledger = ledger;
    this.#dnsSwitch = options.dnsSwitch;
    this.#behaviour = options.behaviour;
    const isNamed = options.behaviour?.do.some((step) => "dns" in step) === true;
    const url = isNamed ? `http://localhost:${ledger.port}/mcp` : ledger.url;
    this.configuration = { name: options.name, url, ...options.configuration };
    const steps = (options.behaviour?.do ?? []).filter((step) => !isScriptStep(step));
    this.#messageSteps = steps.filter((step) => !isConnectionStep(step));
    for (const step of this.#messageSteps) requireKnown(step);
    ledger.interceptWith((request, body, response) => this.#intercept(request, body, response));
  }

  executions(): readonly string[] {
    const calls = this.ledger.ledger.calls.map(({ nonce, tool }) => nonce ?? tool);
    const others = this.ledger.ledger.messages.filter(({ method = "" }) => EXECUTING.has(method));
    return [...calls, ...others.map(({ method = "" }) => method)];
  }

  cancellations(): number {
    return this.ledger.ledger.cancellations.length + this.#cutRequests;
  }

  /** A backend that cannot be reached cannot be told that a session is over. */
  openSessions(): number {
    return this.#isUnreachable ? 0 : this.ledger.openSessions;
  }

  received(): string {
    const heads = this.ledger.requests.map(({ headers }) => JSON.stringify(headers));
    return [...heads, ...this.#bodies].join("\n");
  }

  headerNames(): ReadonlySet<string> {
    return new Set(this.ledger.requests.flatMap(({ headers }) => Object.keys(headers)));
  }

  async arm(): Promise<void> {
    const steps = (this.#behaviour?.do ?? []).filter(isConnectionStep);
    for (const step of steps) {
      this.#isUnreachable = true;
      if ("dns" in step) writeFileSync(this.#dnsSwitch, "");
      // Connections that are open already need neither an address nor a listener.
      // oxlint-disable-next-line no-await-in-loop
      await this.ledger.stopListening();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ledger.close();
  }

  #intercept(request: IncomingMessage, body: string, response: ServerResponse): boolean {
    if (request.method !== "POST") return false;
    this.#bodies.push(body);
    const message: unknown = JSON.parse(body);
    if (!isJsonObject(message)) return false;
    const { method, id } = message;
    if (method === undefined) {
      this.#waiting.get(JSON.stringify(id))?.(message);
      return false;
    }
    if (method === this.#behaviour?.on) return this.#misbehave(message, response);
    if (method === "resources/read") return this.#refuseRead(message, body, response);
    return method === "tools/call" && this.#callBaseTool(message, response);
  }

  /** Nothing that an entry asks for is there; to look is an execution. */
  #refuseRead({ id }: JsonObject, body: string, response: ServerResponse): true {
    this.ledger.ledger.messages.push({
      session: "",
      method: "resources/read",
      id: undefined,
      text: body,
      headers: {},
    });
    const error = { code: -32_002, message: "Resource not found" };
    const text = JSON.stringify({ jsonrpc: "2.0", id, error });
    response.writeHead(200, { "content-type": "application/json" }).end(text);
    return true;
  }

  #misbehave(message: JsonObject, response: ServerResponse): boolean {
    const list = listAnswer(this.#behaviour, message, response);
    if (list) return true;
    const [first, ...rest] = this.#messageSteps;
    if (first === undefined) return false;
    if ("forgetSession" in first && rest.every((step) => "forgetSession" in step)) {
      const isAgain = first["forgetSession"] === "always" || rest.length > 0;
      if (!this.#hasForgotten || isAgain) this.ledger.forgetSessions();
      this.#hasForgotten = true;
      return false;
    }
    response.on("close", () => {
      if (!response.writableEnded) this.#cutRequests += 1;
    });
    const call = {
      message,
      response,
      execute: () => this.#record(message),
      answerTo: async (id: string | number, signal: AbortSignal) => this.#answerTo(id, signal),
    };
    // A step that cannot be done ends the exchange; the gateway then says what it got.
    performSteps(this.#messageSteps, call).catch(() => response.destroy());
    return true;
  }

  /** The tools that take their time or ask back; the others the ledger answers by itself. */
  #callBaseTool(message: JsonObject, response: ServerResponse): boolean {
    const { name } = paramsOf(message);
    const slowMs = SLOW_TOOL_MS.get(textOf(name));
    if (slowMs === undefined && name !== "ask") return false;
    this.#record(message);
    response.on("close", () => {
      if (!response.writableEnded) this.#cutRequests += 1;
    });
    if (slowMs === undefined) this.#ask(message, response);
    else void this.#answerAfter(slowMs, message, response);
    return true;
  }

  /** The question stays open until the client answers or leaves. */
  #ask(message: JsonObject, response: ServerResponse): void {
    const id = `ask-${JSON.stringify(message["id"])}`;
    const requestedSchema = { type: "object", properties: { age: { type: "integer" } } };
    const params = { message: "How old?", requestedSchema };
    this.#waiting.set(JSON.stringify(id), () => answer(message, response));
    beginStream(response, {});
    writeEvent(
      response,
      JSON.stringify({ jsonrpc: "2.0", id, method: "elicitation/create", params }),
    );
  }

  async #answerAfter(ms: number, message: JsonObject, response: ServerResponse): Promise<void> {
    await delay(ms);
    answer(message, response);
  }

  #record(message: JsonObject): void {
    const { name, arguments: args } = paramsOf(message);
    const nonce =
      isJsonObject(args) && typeof args["nonce"] === "string" ? args["nonce"] : undefined;
    const tool = textOf(name);
    this.ledger.ledger.calls.push({
      session: "",
      tool,
      nonce,
      argumentsText: JSON.stringify(args),
      atMs: performance.now(),
      headers: {},
    });
  }

  async #answerTo(id: string | number, signal: AbortSignal): Promise<JsonObject> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("no answer")), { once: true });
      this.#waiting.set(JSON.stringify(id), resolve);
    });
  }
}

/** Methods whose handling is an execution, besides calls. */
const EXECUTING: ReadonlySet<string> = new Set([
  "resources/read",
  "prompts/get",
  "completion/complete",
]);

function answer({ id }: JsonObject, response: ServerResponse): void {
  if (response.destroyed) return;
  const text = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${RESULT}}`;
  if (response.headersSent) {
    writeEvent(response, text);
    response.end();
  } else {
    response.writeHead(200, { "content-type": "application/json" }).end(text);
  }
}

function paramsOf({ params }: JsonObject): JsonObject {
  return isJsonObject(params) ? params : {};
}

function isConnectionStep(step: Do): boolean {
  return Object.keys(step).every((key) => CONNECTION_STEPS.has(key));
}

/** Steps that only change what the backend lists or says of itself; `list-steps.ts` has taken them in. */
function isScriptStep(step: Do): boolean {
  return Object.keys(step).every((key) => SCRIPT_STEPS.has(key));
}

const SCRIPT_STEPS: ReadonlySet<string> = new Set([
  "initVersion",
  "schema",
  "description",
  "shadow",
  "xMcpHeader",
  "pages",
  "tools",
  "bytesEach",
]);

function requireKnown(step: Do): void {
  const isForgetting = "forgetSession" in step && Object.keys(step).length === 1;
  if (!isForgetting && !isKnownStep(step))
    throw new TypeError(`the behaviour ${JSON.stringify(step)} is not known`);
}
