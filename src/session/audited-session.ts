import { VmcpError } from "../domain/errors.ts";
import type { BackendName, SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import type {
  InboundNotification,
  InboundRequest,
  InboundResponse,
} from "../mcp/inbound-message.ts";
import { AuditedExchange } from "./audited-exchange.ts";
import type { ClientProfile } from "./backend-connection.ts";
import type {
  AttachedStream,
  BackendStanding,
  CacheHint,
  ClientStream,
  EdgeSession,
} from "./edge-session.ts";
import type { SessionAudit } from "./session-audit.ts";
import type {
  AdvertisedCapability,
  CallOptions,
  PromptResult,
  ReadResult,
  ToolCallResult,
} from "./session.ts";
import { SessionCaller } from "./session-caller.ts";
import type { ListName } from "./view.ts";

/**
 * A session whose requests are on record: each before it is sent anywhere, and again when it has ended. In all else
 * it is the session that it was made of, which nobody else may use any more.
 */
export class AuditedSession implements Required<EdgeSession> {
  readonly id: SessionId;
  readonly client: ClientProfile;
  readonly createdAtMs: number;
  readonly #session: EdgeSession;
  readonly #audit: SessionAudit;
  readonly #caller: SessionCaller;

  constructor(session: EdgeSession, audit: SessionAudit) {
    this.id = session.id;
    this.client = session.client;
    this.createdAtMs = session.createdAtMs;
    this.#session = session;
    this.#audit = audit;
    this.#caller = new SessionCaller((request, sink) => this.forward(request, sink));
  }

  forward(request: InboundRequest, sink: AnswerSink): Exchange {
    const record = this.#audit.callBegins(request);
    if (record === undefined) return this.#session.forward(request, sink);
    const exchange = new AuditedExchange(record, sink);
    try {
      return exchange.follow(this.#session.forward(request, exchange));
    } catch (error) {
      record.failed(VmcpError.from(error));
      throw error;
    }
  }

  list(name: ListName, cursor?: JsonValue): Buffer {
    let page: Buffer;
    try {
      page = this.#session.list(name, cursor);
    } catch (error) {
      this.#audit.listingFailed(name, VmcpError.from(error));
      throw error;
    }
    this.#audit.listing(name);
    return page;
  }

  async callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult> {
    return this.#caller.callTool(name, args, options);
  }

  async readResource(uri: string, options?: CallOptions): Promise<ReadResult> {
    return this.#caller.readResource(uri, options);
  }

  async getPrompt(name: string, args: JsonObject, options?: CallOptions): Promise<PromptResult> {
    return this.#caller.getPrompt(name, args, options);
  }

  get identity(): Identity {
    return this.#session.identity;
  }

  identify(identity: Identity): void {
    this.#session.identify?.(identity);
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#session.metadata;
  }

  get tools(): readonly AdvertisedCapability[] {
    return this.#session.tools;
  }

  get prompts(): readonly AdvertisedCapability[] {
    return this.#session.prompts;
  }

  get resources(): readonly AdvertisedCapability[] {
    return this.#session.resources;
  }

  get lastUsedAtMs(): number {
    return this.#session.lastUsedAtMs;
  }

  get isEnding(): boolean {
    return this.#session.isEnding === true;
  }

  get isBusy(): boolean {
    return this.#session.isBusy;
  }

  get isUnused(): boolean {
    return this.#session.isUnused === true;
  }

  touch(): void {
    this.#session.touch();
  }

  notify(notification: InboundNotification): void {
    this.#session.notify(notification);
  }

  answer(response: InboundResponse): void {
    this.#session.answer(response);
  }

  setLogLevel(level: string): void {
    this.#session.setLogLevel(level);
  }

  attachStream(stream: ClientStream): AttachedStream {
    return this.#session.attachStream(stream);
  }

  serverIdOf(request: InboundRequest): string | undefined {
    return this.#session.serverIdOf?.(request);
  }

  toolDefinition(name: string): JsonObject | undefined {
    return this.#session.toolDefinition?.(name);
  }

  cacheHint(): CacheHint {
    return this.#session.cacheHint?.() ?? { ttlMs: 0, cacheScope: "private" };
  }

  backends(): readonly BackendStanding[] {
    return this.#session.backends();
  }

  retry(backend: BackendName): void {
    this.#session.retry(backend);
  }

  async close(reason: VmcpError): Promise<void> {
    if (this.#session.close === undefined) await this.#session[Symbol.asyncDispose]();
    else await this.#session.close(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
