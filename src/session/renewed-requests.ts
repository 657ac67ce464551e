import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import { LateMap } from "../lib/late-map.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import type { BackendLink } from "./backend-link.ts";

/** Subscriptions of one session that are renewed at a backend which had to be connected again. */
const MAX_SUBSCRIPTIONS = 1_000;

/** A client may subscribe to any URI that its backend takes, however long. */
const MAX_URI_LENGTH = 8_192;

/**
 * What the client asked for once and every new connection of its session must be asked for again: its log
 * level and its subscriptions.
 */
export class RenewedRequests {
  readonly #logger: Logger;
  readonly #subscriptions = new LateMap<string, BackendName>();
  #logLevel: string | undefined;
  #sent = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
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
    else this.#logger.warn("a session has too many or too long subscriptions to renew them all");
  }

  unsubscribed(uri: string): void {
    this.#subscriptions.delete(uri);
  }

  /** Asks a connection that has just been made for everything again. */
  renew(link: BackendLink): void {
    this.#renewLogLevel(link);
    for (const [uri, backend] of this.#subscriptions) {
      if (backend !== link.name) continue;
      this.#send(link, "resources/subscribe", { uri });
      link.connection?.openNotifications();
    }
  }

  #renewLogLevel(link: BackendLink): void {
    const canLog = link.connection?.greeting.capabilities["logging"] !== undefined;
    if (this.#logLevel === undefined || !canLog) return;
    this.#send(link, "logging/setLevel", { level: this.#logLevel });
  }

  /** A request of the gateway's own, whose answer interests nobody. */
  #send(link: BackendLink, method: string, params: JsonObject): void {
    this.#sent += 1;
    const id = `${OWN_ID_PREFIX}session:${this.#sent}`;
    link.connection?.forward({ id, method, bytes: encodeRequest(id, method, params) }, DEAF_SINK);
  }
}

const DEAF_SINK: AnswerSink = {
  event: () => true,
  answer() {},
  fail() {},
};
