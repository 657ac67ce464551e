/** What a new stream means for resources that its connection was subscribed to before. */
interface Unheard {
  /** From now on nobody hears of their changes. */
  readonly lost: readonly string[];
  /** Told of again: what happened meanwhile nobody heard of. */
  readonly regained: readonly string[];
}

/**
 * The resources that a connection is subscribed to and that its backend does not tell of at present. MCP has no message
 * by which a subscriber could learn that its subscription is over, so that it is upheld and asked for again.
 */
export class UnheardUris {
  #uris: ReadonlySet<string> = new Set();

  /** Takes what is subscribed to while a new stream has been confirmed, and what of it is honoured. */
  compare(subscribed: ReadonlySet<string>, honoured: ReadonlySet<unknown>): Unheard {
    const before = this.#uris;
    this.#uris = new Set([...subscribed].filter((uri) => !honoured.has(uri)));
    return {
      lost: [...this.#uris].filter((uri) => !before.has(uri)),
      regained: [...before].filter((uri) => subscribed.has(uri) && honoured.has(uri)),
    };
  }
}
