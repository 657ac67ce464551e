import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { encodeNotification } from "../mcp/json-rpc.ts";

/** The session whose client subscribed. */
export interface SubscribedClient {
  readonly logger: Logger;
  /** Takes a message for the client that belongs to no call. */
  tellClient(message: Buffer): void;
}

/**
 * The subscriptions of one session that a new connection to one backend is asked for.
 *
 * MCP has no message by which a client could learn that a subscription is over. So what is refused is told to it as
 * updated: it looks, and finds what has become of the resource.
 */
export class RenewedSubscriptions {
  readonly #backend: BackendName;
  readonly #client: SubscribedClient;
  #unanswered: number;
  #refused = 0;

  constructor(backend: BackendName, count: number, client: SubscribedClient) {
    this.#backend = backend;
    this.#unanswered = count;
    this.#client = client;
  }

  /** For the answer to one of them. One that cannot be had is none: the next connection is asked again. */
  sinkFor(uri: string): AnswerSink {
    return {
      event: () => true,
      answer: ({ message: { error } }) => {
        if (error !== undefined) this.#tellRefused(uri);
        this.#settled();
      },
      fail: () => this.#settled(),
    };
  }

  #tellRefused(uri: string): void {
    this.#refused += 1;
    this.#client.tellClient(encodeNotification("notifications/resources/updated", { uri }));
  }

  #settled(): void {
    this.#unanswered -= 1;
    if (this.#unanswered > 0 || this.#refused === 0) return;
    this.#client.logger.warn("backend no longer tells of resources that were subscribed to", {
      backend: this.#backend,
      count: this.#refused,
    });
  }
}
