import type { BackendGreeting, CapabilitySet } from "../../domain/capabilities.ts";
import type { BackendName } from "../../domain/ids.ts";
import type { JsonObject } from "../../domain/json.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import {
  encodeNotification,
  encodeRequest,
  OWN_ID_PREFIX,
  type JsonRpcMessage,
} from "../../mcp/json-rpc.ts";
import type { Ask } from "../ask.ts";
import { fetchCapabilities } from "../capability-lists.ts";
import { closedByGatewayError } from "../failures.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import type { BackendConnection, Channel, ConnectionListener } from "../ports.ts";
import { InputDesk } from "./input-desk.ts";
import { answerEmpty, levelIn } from "./local-requests.ts";
import { readParamHeaders } from "./param-headers.ts";
import { StatelessCall, type CallHost } from "./stateless-call.ts";
import type { StatelessWire } from "./stateless-wire.ts";
import { Subscriptions } from "./subscriptions.ts";

export interface StatelessParts {
  readonly channel: Channel;
  readonly wire: StatelessWire;
  readonly ask: Ask;
  readonly greeting: BackendGreeting;
  readonly settings: BackendSettings;
  /** Hears what the session hears that the connection is for. */
  readonly listener: ConnectionListener;
}

/**
 * A backend of the revision without sessions, as a session sees it. What a session would have told the backend
 * once goes with each request; what only backends with sessions know is answered here: the log level and
 * subscriptions. Where the backend answers that it needs input, a client of a session is asked for it as by a backend
 * of its own kind, and the call goes on with what it says.
 */
export class StatelessConnection implements BackendConnection, CallHost {
  readonly backendSessionId = undefined;
  readonly isStateless = true;
  readonly greeting: BackendGreeting;
  readonly settings: BackendSettings;
  readonly wire: StatelessWire;
  readonly inputs: InputDesk;
  readonly #channel: Channel;
  readonly #ask: Ask;
  readonly #subscriptions: Subscriptions;
  readonly #listener: ConnectionListener;
  readonly #calls = new Set<StatelessCall>();
  #mintedIds = 0;
  #isClosed = false;

  constructor({ channel, wire, ask, greeting, settings, listener }: StatelessParts) {
    this.greeting = greeting;
    this.settings = settings;
    this.wire = wire;
    this.inputs = new InputDesk(listener);
    this.#channel = channel;
    this.#ask = ask;
    this.#listener = listener;
    this.#subscriptions = new Subscriptions({ wire, greeting, settings, listener });
  }

  get backend(): BackendName {
    return this.settings.name;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    if (this.#isClosed) {
      const error = closedByGatewayError(this.backend, false);
      queueMicrotask(() => sink.fail(error));
      return ENDED_EXCHANGE;
    }
    switch (request.method) {
      case "ping":
        return this.wire.forward(toDiscover(request), sink);
      case "logging/setLevel":
        this.wire.setLogLevel(levelIn(request));
        return answerEmpty(request, sink);
      case "resources/subscribe":
        return this.#subscriptions.subscribe(request, sink);
      case "resources/unsubscribe":
        this.#subscriptions.unsubscribe(request);
        return answerEmpty(request, sink);
      default:
        return this.#call(request, sink);
    }
  }

  /** The only messages that such a backend takes are requests: what answers none of its questions ends here. */
  async send(message: Buffer): Promise<void> {
    if (this.#isClosed) throw closedByGatewayError(this.backend, false);
    this.inputs.take(message);
  }

  openNotifications(): void {
    if (!this.#isClosed) this.#subscriptions.open();
  }

  async listCapabilities(signal: AbortSignal): Promise<CapabilitySet> {
    const faultOf = this.wire.kind === "http" ? faultOfTool : undefined;
    const capabilities = await fetchCapabilities(
      this.#ask,
      this.greeting,
      this.settings,
      signal,
      faultOf,
    );
    this.wire.useTools(capabilities.tools);
    return capabilities;
  }

  /** As `Connection.ask`. A ping is put as a question that every backend of this kind answers; else this rejects. */
  async ask(method: string, signal: AbortSignal): Promise<JsonRpcMessage> {
    if (method !== "ping") return (await this.#ask({ method }, signal)).message;
    const { message } = await this.#ask({ method: "server/discover" }, signal);
    if (message.error === undefined) return message;
    // Whoever answered this before and does not now is another one, and is to be met anew.
    throw backendError(
      this.backend,
      "backend_protocol",
      "no longer says which revisions it speaks",
      {
        executionState: "not_executed",
      },
    );
  }

  /** Takes a message that came outside of any answer: over pipes even those of calls do. */
  receive(message: BackendMessage): void {
    // Such a backend asks by its answers; what it asks otherwise it has no way to hear the answer of.
    if (this.#isClosed || message.message.id !== undefined) return;
    if (!this.#subscriptions.receive(message)) this.#listener.unsolicited(message);
  }

  mintId(): string {
    this.#mintedIds += 1;
    return `${OWN_ID_PREFIX}round:${this.#mintedIds}`;
  }

  async refreshTools(signal: AbortSignal): Promise<void> {
    await this.listCapabilities(signal);
    // Whoever shows these tools to clients knows them by their old definitions.
    const method = "notifications/tools/list_changed";
    const bytes = encodeNotification(method);
    this.#listener.unsolicited({ bytes, message: { jsonrpc: "2.0", method } });
  }

  announces(method: string): boolean {
    const capability = ANNOUNCED_BY.get(method);
    return capability !== undefined && this.greeting.capabilities[capability] !== undefined;
  }

  ended(call: StatelessCall): void {
    this.#calls.delete(call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#subscriptions.close();
    this.inputs.close();
    for (const call of this.#calls) call.end(closedByGatewayError(this.backend, true));
    await this.#channel[Symbol.asyncDispose]();
  }

  #call(request: OutboundRequest, sink: AnswerSink): Exchange {
    const call = new StatelessCall(this, request, sink);
    this.#calls.add(call);
    call.start();
    return call;
  }
}

function faultOfTool(tool: JsonObject): string | undefined {
  const read = readParamHeaders(tool);
  return "fault" in read ? read.fault : undefined;
}

/** What a backend announces that knows a method. */
const ANNOUNCED_BY: ReadonlyMap<string, string> = new Map([
  ["tools/call", "tools"],
  ["prompts/get", "prompts"],
  ["resources/read", "resources"],
  ["completion/complete", "completions"],
]);

/** Only the gateway itself pings backends, to see whether they are there. */
function toDiscover({ id, timeoutMs }: OutboundRequest): OutboundRequest {
  const method = "server/discover";
  const bytes = encodeRequest(id, method);
  return { id, method, bytes, ...(timeoutMs !== undefined && { timeoutMs }) };
}
