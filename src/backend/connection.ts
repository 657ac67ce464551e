import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { AnswerSink, Exchange, OutboundRequest } from "../mcp/exchange.ts";
import type { JsonRpcMessage } from "../mcp/json-rpc.ts";
import { createAsk, type Ask } from "./ask.ts";
import { fetchCapabilities } from "./capability-lists.ts";
import type { BackendSettings } from "./options.ts";
import { MAX_DISCOVERIES } from "./stateless/discover.ts";
import type { BackendConnection, Channel, ConnectionListener } from "./ports.ts";

/** The greeting itself was one question, after those about revisions. */
const ASKED_BEFORE = MAX_DISCOVERIES + 1;

/** A channel whose backend has been greeted: the connection that a session holds. */
export class Connection implements BackendConnection {
  readonly greeting: BackendGreeting;
  readonly #channel: Channel;
  readonly #listener: Pick<ConnectionListener, "unsolicited">;
  readonly #settings: BackendSettings;
  #ownAsk: Ask | undefined;

  /** What comes on the way to an answer to the gateway itself goes to the listener. */
  constructor(
    channel: Channel,
    listener: Pick<ConnectionListener, "unsolicited">,
    greeting: BackendGreeting,
    settings: BackendSettings,
  ) {
    this.#channel = channel;
    this.#listener = listener;
    this.greeting = greeting;
    this.#settings = settings;
  }

  get backend(): BackendName {
    return this.#settings.name;
  }

  get backendSessionId(): string | undefined {
    return this.#channel.backendSessionId;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    return this.#channel.forward(request, sink);
  }

  send(message: Buffer): Promise<void> {
    return this.#channel.send(message);
  }

  openNotifications(): void {
    this.#channel.openNotifications();
  }

  listCapabilities(signal: AbortSignal): Promise<CapabilitySet> {
    return fetchCapabilities(this.#ask, this.greeting, this.#settings, signal);
  }

  /** Sends a request of the gateway's own, without parameters; resolves with the answer, result or error. */
  async ask(method: string, signal: AbortSignal): Promise<JsonRpcMessage> {
    const { message } = await this.#ask({ method }, signal);
    return message;
  }

  /** Made when the gateway first asks: where the lists are known already, it may never. */
  get #ask(): Ask {
    this.#ownAsk ??= createAsk(
      this.#channel,
      (message) => this.#listener.unsolicited(message),
      ASKED_BEFORE,
    );
    return this.#ownAsk;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#channel[Symbol.asyncDispose]();
  }
}
