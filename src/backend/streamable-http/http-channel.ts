import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES } from "../../lib/deadlines.ts";
import type { HttpRequest, RequestSender } from "../../lib/http-client/request-sender.ts";
import { ENDED_EXCHANGE, type AnswerSink, type Exchange } from "../../mcp/exchange.ts";
import { needsVersionHeader } from "../../mcp/revisions.ts";
import { ClientWaits } from "../client-waits.ts";
import { closedByGatewayError, forgottenError } from "../failures.ts";
import type { BackendSettings } from "../options.ts";
import type { Channel, ChannelRequest, ConnectionListener } from "../ports.ts";
import { toStreamHeaders, type Endpoint } from "./endpoint.ts";
import { HttpExchange } from "./http-exchange.ts";
import type { HttpRoute } from "./http-route.ts";
import { NotificationStream } from "./notification-stream.ts";
import { requestOnce } from "./request-once.ts";
import { SessionCheck } from "./session-check.ts";

/** How long closing waits for the backend to hear of it, and for calls that are about to end anyway. */
const CLOSE_MS = 2_000;

/** Messages are accepted at once or not at all: few connections carry those of all sessions. */
const SEND_MS = 30_000;

/** What a session id may consist of (streamable HTTP, "Session Management"); the length is our own limit. */
const SESSION_ID = /^[\x21-\x7e]{1,4096}$/;

type Life = "open" | "lost" | "closed";

/** The channel to one backend session over streamable HTTP. It owns no socket: those are the pools'. */
export class HttpChannel implements Channel, HttpRoute {
  readonly settings: BackendSettings;
  readonly path: string;
  readonly isTls: boolean;
  readonly calls: RequestSender;
  readonly streams: RequestSender;
  readonly standalone = "http";
  readonly waits = new ClientWaits();
  requestHeaders: string[];
  readonly #endpoint: Endpoint;
  readonly #listener: ConnectionListener;
  /** Made, as are the next two, when it is first needed: most sessions are idle, and each has a channel per backend. */
  #live: Set<HttpExchange> | undefined;
  #notifications: NotificationStream | undefined;
  #check: SessionCheck | undefined;
  #greeting: HttpExchange | undefined;
  #life: Life = "open";
  #backendSessionId: string | undefined;
  #revision: string | undefined;
  #onIdle: (() => void) | undefined;
  #disposal: Promise<void> | undefined;

  constructor(settings: BackendSettings, endpoint: Endpoint, listener: ConnectionListener) {
    this.settings = settings;
    this.path = endpoint.path;
    this.isTls = endpoint.isTls;
    this.calls = endpoint.pools.calls;
    this.streams = endpoint.pools.streams;
    this.requestHeaders = endpoint.requestHeaders;
    this.#endpoint = endpoint;
    this.#listener = listener;
  }

  get backendSessionId(): string | undefined {
    return this.#backendSessionId;
  }

  forward(request: ChannelRequest, sink: AnswerSink): Exchange {
    if (this.#life === "closed") {
      const error = closedByGatewayError(this.settings.name, false);
      queueMicrotask(() => sink.fail(error));
      return ENDED_EXCHANGE;
    }
    const exchange = new HttpExchange(this, request, sink);
    this.#live ??= new Set();
    this.#live.add(exchange);
    if (request.method === "initialize") this.#greeting = exchange;
    // A backend drops what it wants to send on a stream that is not there yet.
    if (this.#notifications?.isOpening === true) {
      this.#notifications.whenOpened(() => exchange.start());
    } else exchange.start();
    return exchange;
  }

  post({ bytes: body, standalone }: ChannelRequest, handler: HttpExchange): void {
    const { path } = this;
    const headers =
      standalone === undefined
        ? this.requestHeaders
        : [...this.requestHeaders, ...standalone.headers];
    const dispatcher = standalone?.isStream === true ? this.streams : this.calls;
    dispatcher.dispatch({ path, method: "POST", headers, body }, handler);
  }

  async send(message: Buffer): Promise<void> {
    if (this.#life === "closed") throw closedByGatewayError(this.settings.name, false);
    this.waits.sent(message);
    try {
      await this.#post(message, Math.min(SEND_MS, this.settings.timeouts.callMs));
    } catch (thrown) {
      const error = VmcpError.from(thrown);
      if (error.code === "backend_session_lost") this.lost(error);
      throw error;
    }
  }

  tell(message: Buffer): void {
    // Nobody waits for it: the backend may have gone, or may not know what it is about any more.
    this.#post(message, CLOSE_MS).catch(() => {});
  }

  openNotifications(): void {
    if (this.#life !== "open") return;
    this.#notifications ??= this.#createNotifications();
    this.#notifications.open();
  }

  adopt(sessionId: string | undefined): boolean {
    if (sessionId !== undefined && !SESSION_ID.test(sessionId)) return false;
    // A copy: what was cut out of the head of the answer would keep all of it for as long as the session lives.
    this.#backendSessionId = sessionId && Buffer.from(sessionId, "latin1").toString("latin1");
    this.requestHeaders = this.#headers();
    return true;
  }

  agree(revision: string): void {
    // Its answer has told the session id: from here on it would only hold memory.
    this.#greeting = undefined;
    // Where the lists are known already there is nothing more to ask before the first call.
    if (!this.#isBusy) this.#live = undefined;
    this.#revision = revision;
    this.requestHeaders = this.#headers();
  }

  lost(error: VmcpError): void {
    if (this.#life !== "open") return;
    this.#life = "lost";
    this.#notifications?.close();
    this.#listener.lost(error);
  }

  async isSessionAlive(): Promise<boolean> {
    this.#check ??= new SessionCheck(async (message) => this.#post(message, SEND_MS));
    return this.#check.isAlive();
  }

  ended(exchange: HttpExchange): void {
    this.#live?.delete(exchange);
    this.waits.forget(exchange.clock);
    if (!this.#isBusy) this.#onIdle?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#close();
    await this.#disposal;
  }

  async #close(): Promise<void> {
    const wasLost = this.#life === "lost";
    this.#life = "closed";
    this.#notifications?.close();
    // Calls beside the one that met the loss are about to meet it too, and then may safely be sent again.
    if (wasLost) await this.#idle();
    const toError = wasLost ? forgottenError : closedByGatewayError;
    for (const exchange of this.#live ?? []) {
      exchange.end(toError(this.settings.name, exchange.isWritten));
    }
    await this.#greeting?.learnSession(CLOSE_MS);
    if (!wasLost && this.#backendSessionId !== undefined) await this.#endSession();
  }

  async #idle(): Promise<void> {
    if (!this.#isBusy) return;
    await new Promise<void>((resolve) => {
      const deadline = DEADLINES.add(CLOSE_MS, resolve);
      this.#onIdle = () => {
        deadline.cancel();
        resolve();
      };
    });
    this.#onIdle = undefined;
  }

  /** A backend may refuse to end sessions (405) or be gone: both end the session as far as we can. */
  async #endSession(): Promise<void> {
    const { path, requestHeaders: headers } = this;
    await this.#once({ path, method: "DELETE", headers }, CLOSE_MS).catch(() => {});
  }

  async #post(message: Buffer, timeoutMs: number): Promise<void> {
    const { path, requestHeaders: headers } = this;
    await this.#once({ path, method: "POST", headers, body: message }, timeoutMs);
  }

  async #once(request: HttpRequest, timeoutMs: number): Promise<void> {
    await requestOnce(this.#endpoint.pools.control, request, {
      backend: this.settings.name,
      isTls: this.isTls,
      hasSession: this.#backendSessionId !== undefined,
      timeoutMs,
    });
  }

  #clocks(): readonly HttpExchange["clock"][] {
    return [...(this.#live ?? [])].map(({ clock }) => clock);
  }

  get #isBusy(): boolean {
    return this.#live !== undefined && this.#live.size > 0;
  }

  #createNotifications(): NotificationStream {
    return new NotificationStream({
      settings: this.settings,
      streams: this.streams,
      path: this.path,
      headers: () => toStreamHeaders(this.requestHeaders),
      hasSession: () => this.#backendSessionId !== undefined,
      receive: (message) => {
        const { id, method } = message.message;
        if (method !== undefined && id !== undefined) this.waits.begin(id, this.#clocks());
        if (this.#life === "open") this.#listener.unsolicited(message);
      },
      lost: (error) => this.lost(error),
    });
  }

  #headers(): string[] {
    const id = this.#backendSessionId;
    const revision = this.#revision;
    const hasVersion = revision !== undefined && needsVersionHeader(revision);
    // Joined and not pushed: an array that grows has room for more, which every idle session would pay for.
    return this.#endpoint.requestHeaders.concat(
      id === undefined ? [] : ["mcp-session-id", id],
      hasVersion ? ["mcp-protocol-version", revision] : [],
    );
  }
}
