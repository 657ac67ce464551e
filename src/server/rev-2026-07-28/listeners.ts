import { VmcpError } from "../../domain/errors.ts";
import type { Logger } from "../../domain/logger.ts";
import { DEFAULT_MESSAGE_LIMITS, parseInbound } from "../../mcp/inbound-message.ts";
import type { AttachedStream, EdgeSession } from "../../session/edge-session.ts";
import type { ListenFilter } from "./listen-filter.ts";
import type { Listener, Notice } from "./listener.ts";
import { ResourceSubscriptions } from "./resource-subscriptions.ts";

/** Listeners of one session; more are refused. */
const MAX_LISTENERS = 1_024;

export interface ListenersOptions {
  readonly session: EdgeSession;
  /** An id that no request of the session has. */
  readonly nextId: () => number;
  readonly logger: Logger;
}

/**
 * All who listen to one session: they share its one stream, which is open while there is one of them, and its
 * subscriptions to resources.
 */
export class Listeners {
  readonly #session: EdgeSession;
  readonly #logger: Logger;
  readonly #listeners = new Set<Listener>();
  readonly #subscriptions: ResourceSubscriptions;
  #attached: AttachedStream | undefined;

  constructor({ session, nextId, logger }: ListenersOptions) {
    this.#session = session;
    this.#logger = logger;
    this.#subscriptions = new ResourceSubscriptions({ session, nextId });
  }

  /**
   * Takes a listener, who is to be acknowledged next. Throws `overloaded`, or `session_closed` where the session is at
   * its end.
   */
  add(listener: Listener): void {
    if (this.#listeners.size >= MAX_LISTENERS) {
      throw new VmcpError("overloaded", `The session has ${MAX_LISTENERS} listeners already`, {
        retryAfterSeconds: 5,
      });
    }
    // Its stream is there until the last call has ended, and then everybody who is on it is sent away.
    if (this.#session.isEnding === true) {
      throw new VmcpError("session_closed", "The session was closed; open a new one", {
        executionState: "not_executed",
      });
    }
    this.#listeners.add(listener);
    try {
      this.#attached ??= this.#attach();
    } catch (error) {
      this.remove(listener);
      throw error;
    }
  }

  /** Acknowledges what can be had of what the listener wants, unless it is removed meanwhile. Never rejects. */
  async acknowledge(listener: Listener): Promise<void> {
    const wanted = listener.filter;
    const uris = await this.#subscriptions.add(wanted.uris);
    const honoured: ListenFilter = { lists: wanted.lists, uris };
    if (!this.#listeners.has(listener)) {
      this.#subscriptions.remove(uris);
      return;
    }
    listener.acknowledge(honoured);
  }

  /** A listener that left. What nobody listens to any more is unsubscribed. */
  remove(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    if (listener.isAcknowledged) this.#subscriptions.remove(listener.filter.uris);
    if (this.#listeners.size > 0) return;
    this.#attached?.[Symbol.dispose]();
    this.#attached = undefined;
  }

  /** Passes on a notification to those who want it. */
  tell(notice: Notice): void {
    for (const listener of this.#listeners) listener.tell(notice);
  }

  #attach(): AttachedStream {
    return this.#session.attachStream({
      send: (message) => {
        this.#take(message);
        return true;
      },
      end: () => this.#end(),
    });
  }

  /** What the session has to say outside of requests. Nobody can be asked anything there. */
  #take(bytes: Buffer): void {
    const message = parseInbound(bytes, { ...DEFAULT_MESSAGE_LIMITS, jsonDepth: Infinity });
    if (message.kind === "notification") this.tell(message);
    else
      this.#logger.debug("a message that belongs to no request of a stateless client was dropped");
  }

  #end(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#attached = undefined;
    for (const listener of listeners) listener.end();
  }
}
