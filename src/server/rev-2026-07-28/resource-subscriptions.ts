import { DEADLINES } from "../../lib/deadlines.ts";
import { ENDED_EXCHANGE } from "../../mcp/exchange.ts";
import { encodeRequest } from "../../mcp/json-rpc.ts";
import type { EdgeSession } from "../../session/edge-session.ts";

/** Subscriptions that are asked for at once: calls need places too. */
const MAX_AT_ONCE = 4;

/** Resources that the listeners of one session can want together; what goes beyond is not subscribed. */
const MAX_HELD = 4_096;

/** What one backend is slow to subscribe must not keep a listener from all the rest. */
const PATIENCE_MS = 3_000;

export interface ResourceSubscriptionsOptions {
  readonly session: Pick<EdgeSession, "forward">;
  /** An id that no request of the session has. */
  readonly nextId: () => number;
}

interface Subscription {
  /** Whether the backend took it. */
  readonly isHeld: Promise<boolean>;
  listeners: number;
}

/** The resources that the listeners of one session want to hear of: each subscribed once, however many want it. */
export class ResourceSubscriptions {
  readonly #options: ResourceSubscriptionsOptions;
  readonly #held = new Map<string, Subscription>();
  /** What was left and its backend has not said so yet: asked at once, it could leave what is wanted again. */
  readonly #leaving = new Map<string, Promise<boolean>>();

  constructor(options: ResourceSubscriptionsOptions) {
    this.#options = options;
  }

  /** Counts one listener more for each; resolves with those that their backends will tell of. Never rejects. */
  async add(uris: readonly string[]): Promise<readonly string[]> {
    const held: string[] = [];
    for (let index = 0; index < uris.length; index += MAX_AT_ONCE) {
      const some = uris.slice(index, index + MAX_AT_ONCE);
      // A few at a time: the calls of the session's clients need its places too.
      // oxlint-disable-next-line no-await-in-loop
      const answers = await Promise.all(some.map(async (uri) => this.#addOne(uri)));
      held.push(...some.filter((_uri, at) => answers[at] === true));
    }
    return held;
  }

  /** One listener less for each. What nobody wants any more is unsubscribed. */
  remove(uris: readonly string[]): void {
    for (const uri of uris) {
      const subscription = this.#held.get(uri);
      if (subscription === undefined) continue;
      subscription.listeners -= 1;
      if (subscription.listeners > 0) continue;
      this.#held.delete(uri);
      void this.#leave(uri);
    }
  }

  async #leave(uri: string): Promise<void> {
    const leaving = this.#ask("resources/unsubscribe", uri);
    this.#leaving.set(uri, leaving);
    await leaving;
    if (this.#leaving.get(uri) === leaving) this.#leaving.delete(uri);
  }

  async #subscribe(uri: string): Promise<boolean> {
    const leaving = this.#leaving.get(uri);
    if (leaving !== undefined) await leaving;
    return this.#ask("resources/subscribe", uri);
  }

  async #addOne(uri: string): Promise<boolean> {
    let subscription = this.#held.get(uri);
    if (subscription === undefined) {
      if (this.#held.size >= MAX_HELD) return false;
      subscription = { isHeld: this.#subscribe(uri), listeners: 0 };
      this.#held.set(uri, subscription);
    }
    subscription.listeners += 1;
    const isHeld = await subscription.isHeld;
    if (!isHeld) {
      subscription.listeners -= 1;
      // The next one who wants it asks again.
      if (this.#held.get(uri) === subscription) this.#held.delete(uri);
    }
    return isHeld;
  }

  /** Resolves with whether the backend said yes. */
  async #ask(method: string, uri: string): Promise<boolean> {
    const { session, nextId } = this.#options;
    const id = nextId();
    const params = { uri };
    const request = {
      kind: "request",
      id,
      idJson: String(id),
      method,
      params,
      bytes: encodeRequest(id, method, params),
      nameSpan: undefined,
      hasBadParams: false,
    } as const;
    return new Promise((resolve) => {
      let exchange = ENDED_EXCHANGE;
      const settle = (isHeld: boolean): void => {
        deadline.cancel();
        resolve(isHeld);
      };
      const deadline = DEADLINES.add(PATIENCE_MS, () => {
        exchange.cancel("The backend took too long to subscribe");
        resolve(false);
      });
      try {
        exchange = session.forward(request, {
          event: () => true,
          answer: ({ message }) => settle(message.result !== undefined),
          fail: () => settle(false),
        });
      } catch {
        settle(false);
      }
    });
  }
}
