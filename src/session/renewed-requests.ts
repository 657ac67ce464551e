import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { LateMap } from "../lib/late-map.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import type { BackendLink } from "./backend-link.ts";
import { RenewedSubscriptions, type SubscribedClient } from "./renewed-subscriptions.ts";

/** Subscriptions of one session that are renewed at a backend which had to be connected again. */
const MAX_SUBSCRIPTIONS = 1_000;

/** A client may subscribe to any URI that its backend takes, however long. */
const MAX_URI_LENGTH = 8_192;

/**
 * What the client asked for once and every new connection of its session must be asked for again: its log
 * level and its subscriptions.
 */
export class RenewedRequests {
  readonly #client: SubscribedClient;
  readonly #subscriptions = new LateMap<string, BackendName>();
  #logLevel: string | undefined;
  #sent = 0;

  constructor(client: SubscribedClient) {
    this.#client = client;
  }

  /** The level that the client set; undefined while it set none. */
  get logLevel(): string | undefined {
    return this.#logLevel;
  }

  /** Remembers the level and tells the backends that are connected. */
  setLogLevel(level: string, links: Iterable<BackendLink>): void {
    this.#logLevel = level;
    for (const link of links) this.#renewLogLevel(link);
  }

  /** Beyond the bounds a subscription works like any other, but is not renewed when its backend was lost. */
  subscribed(uri: string, backend: BackendName): void {
    const hasRoom = this.#subscriptions.size < MAX_SUBSCRIPTIONS && uri.length <= MAX_URI_LENGTH;
    if (hasRoom) this.#subscriptions.set(uri, backend);
    else
      this.#client.logger.warn(
        "a session has too many or too long subscriptions to renew them all",
      );
  }

  unsubscribed(uri: string): void {
    this.#subscriptions.delete(uri);
  }

  /** Asks a connection that has just been made for everything again. */
  renew(link: BackendLink): void {
    this.#renewLogLevel(link);
    const uris = [...this.#subscriptions].flatMap(([uri, backend]) =>
      backend === link.name ? [uri] : [],
    );
    if (uris.length === 0) return;
    const renewed = new RenewedSubscriptions(link.name, uris.length, this.#client);
    for (const uri of uris) {
      this.#send(link, "resources/subscribe", { uri }, renewed.sinkFor(uri));
    }
    link.connection?.openNotifications();
  }

  #renewLogLevel(link: BackendLink): void {
    const canLog = link.connection?.greeting.capabilities["logging"] !== undefined;
    if (this.#logLevel === undefined || !canLog) return;
    this.#send(link, "logging/setLevel", { level: this.#logLevel });
  }

  /** A request of the gateway's own. */
  #send(link: BackendLink, method: string, params: JsonObject, sink = DEAF_SINK): void {
    this.#sent += 1;
    const id = `${OWN_ID_PREFIX}session:${this.#sent}`;
    link.connection?.forward({ id, method, bytes: encodeRequest(id, method, params) }, sink);
  }
}

/** For what interests nobody. */
const DEAF_SINK: AnswerSink = {
  event: () => true,
  answer() {},
  fail() {},
};
