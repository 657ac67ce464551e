import { VmcpError } from "../../domain/errors.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../../mcp/json-rpc.ts";

/** What the refusal of a ping says of the session that it was sent on. */
const GONE_CODES: ReadonlySet<string> = new Set(["backend_session_lost", "backend_http_4xx"]);

/**
 * Finds out whether a backend still knows a session, by asking for a `ping` on it.
 *
 * The transport says 404 for a session that is gone, and many servers say 400. Either can as well be about the
 * one request that it refuses, and giving up a session for that would cost the client its state. A ping can be
 * refused for the session's sake only. However many doubt at once, one ping is sent.
 */
export class SessionCheck {
  readonly #post: (message: Buffer) => Promise<void>;
  #running: Promise<boolean> | undefined;
  #pings = 0;

  /** `post` resolves when the message was accepted, and rejects with what the status means. */
  constructor(post: (message: Buffer) => Promise<void>) {
    this.#post = post;
  }

  /** False only where the backend refuses a ping, too. Never rejects. */
  async isAlive(): Promise<boolean> {
    this.#running ??= this.#ping();
    const isAlive = await this.#running;
    this.#running = undefined;
    return isAlive;
  }

  async #ping(): Promise<boolean> {
    this.#pings += 1;
    try {
      await this.#post(encodeRequest(`${OWN_ID_PREFIX}check:${this.#pings}`, "ping"));
      return true;
    } catch (thrown) {
      return !GONE_CODES.has(VmcpError.from(thrown).code);
    }
  }
}
