import { VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";
import type { Channel, ConnectionListener } from "./ports.ts";

/** On whose behalf a channel is used. */
export interface Principal {
  /** Whoever it is now. */
  identity(): Identity;
  /** Whether the client has its user open links that errors name. */
  readonly opensLinks: boolean;
}

/**
 * Makes a channel; what happens on it from the first moment on is told to the listener. What is sent on it is for
 * the principal.
 */
export type OpenChannel = (listener: ConnectionListener, principal: Principal) => Channel;

/**
 * The transports that one backend may speak, the likeliest first.
 *
 * The one that worked last is tried first from then on, and the others still after it: a backend that was
 * replaced by one of another kind is found again.
 */
export class Transports {
  #openers: readonly OpenChannel[];

  constructor(...openers: readonly [OpenChannel, ...OpenChannel[]]) {
    this.#openers = openers;
  }

  /**
   * Resolves as the first transport does that the backend speaks. Where it speaks none, what the first one
   * met is what was wrong.
   */
  tryEach<T>(connect: (openChannel: OpenChannel) => Promise<T>): Promise<T> {
    return this.#try(this.#openers, 0, connect);
  }

  async #try<T>(
    openers: readonly OpenChannel[],
    index: number,
    connect: (openChannel: OpenChannel) => Promise<T>,
  ): Promise<T> {
    const opener = openers[index];
    if (opener === undefined) throw new VmcpError("internal", "There is no transport to try");
    try {
      const connected = await connect(opener);
      this.#prefer(opener);
      return connected;
    } catch (thrown) {
      if (index + 1 === openers.length || !isOtherTransport(thrown)) throw thrown;
      try {
        return await this.#try(openers, index + 1, connect);
      } catch (later) {
        throw isOtherTransport(later) ? thrown : later;
      }
    }
  }

  #prefer(opener: OpenChannel): void {
    if (this.#openers[0] === opener) return;
    this.#openers = [opener, ...this.#openers.filter((other) => other !== opener)];
  }
}

/** What a transport meets where another one is spoken; refused credentials or a crash tell nothing of it. */
const OTHER_TRANSPORT_CODES: ReadonlySet<string> = new Set([
  "backend_protocol",
  "backend_http_4xx",
  "backend_timeout",
]);

function isOtherTransport(thrown: unknown): boolean {
  return (
    thrown instanceof VmcpError &&
    thrown.executionState === "not_executed" &&
    OTHER_TRANSPORT_CODES.has(thrown.code)
  );
}
