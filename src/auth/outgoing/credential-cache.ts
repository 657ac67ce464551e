import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";

/** What can be remembered until it ends. */
export interface Expiring {
  /** In milliseconds of the epoch. */
  readonly expiresAtMs: number;
}

export interface CredentialCacheOptions {
  /** Wall-clock milliseconds. */
  readonly now: () => number;
  /** Beyond this many keys the one that was fetched longest ago is forgotten. Default 10,000. */
  readonly maxKeys?: number;
}

interface Entry<T> {
  /** Undefined where it was refused and no other has come. */
  readonly value: T | undefined;
  readonly fetchedAtMs: number;
  /** From then on another one is fetched while this one is still good. */
  refreshAtMs: number;
  /** It is not given out from then on. */
  readonly endsAtMs: number;
  /** It came in place of one that was refused. */
  readonly isReplacement: boolean;
  readonly expiry: Deadline;
}

const MAX_KEYS = 10_000;

/** How long before its end something is renewed, and when it is given out no more: no later than these parts of its life. */
const REFRESH_AHEAD_MS = 60_000;
const REFRESH_SHARE = 0.2;
const SAFETY_MS = 5_000;
const SAFETY_SHARE = 0.05;

/** After a renewal that failed while the old value was still good. */
const RETRY_REFRESH_MS = 5_000;

/** A replacement that is refused too is kept for this long: asking again would only give another like it. */
const REPLACEMENT_MS = 30_000;

/**
 * Credentials by key, fetched once for all who ask at the same time, renewed ahead of their end, and never given out
 * past it.
 */
export class CredentialCache<T extends Expiring> implements Disposable {
  readonly #now: () => number;
  readonly #maxKeys: number;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #flights = new Map<string, Promise<T>>();
  #isClosed = false;

  constructor({ now, maxKeys = MAX_KEYS }: CredentialCacheOptions) {
    this.#now = now;
    this.#maxKeys = maxKeys;
  }

  /** How many keys are remembered or under way. */
  get size(): number {
    return new Set([...this.#entries.keys(), ...this.#flights.keys()]).size;
  }

  /** The value at once where one is good, else the next one to come. Rejects as `fetch` does. */
  get(key: string, fetch: () => Promise<T>): T | Promise<T> {
    const entry = this.#entries.get(key);
    const nowMs = this.#now();
    if (entry?.value === undefined || nowMs >= entry.endsAtMs) return this.#fly(key, fetch);
    if (nowMs >= entry.refreshAtMs) {
      entry.refreshAtMs = nowMs + RETRY_REFRESH_MS;
      // The old one is still good: whether a new one comes is nobody's concern yet.
      this.#fly(key, fetch).catch(() => {});
    }
    return entry.value;
  }

  /**
   * That `value` is no good although it has not ended. True where asking again gives another one, or may; false
   * where that was done just now, to no avail.
   */
  refuse(key: string, value: T): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.value !== value) return true;
    const nowMs = this.#now();
    if (entry.isReplacement && nowMs - entry.fetchedAtMs < REPLACEMENT_MS) return false;
    this.#entries.set(key, { ...entry, value: undefined });
    return true;
  }

  /** Forgets what is known for the key; what is under way goes on. */
  forget(key: string): void {
    this.#entries.get(key)?.expiry.cancel();
    this.#entries.delete(key);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const key of this.#entries.keys()) this.forget(key);
  }

  async #fly(key: string, fetch: () => Promise<T>): Promise<T> {
    const flying = this.#flights.get(key);
    if (flying !== undefined) return flying;
    const flight = this.#fetch(key, fetch);
    this.#flights.set(key, flight);
    return flight;
  }

  async #fetch(key: string, fetch: () => Promise<T>): Promise<T> {
    try {
      const value = await fetch();
      if (!this.#isClosed) this.#remember(key, value);
      return value;
    } finally {
      this.#flights.delete(key);
    }
  }

  #remember(key: string, value: T): void {
    const before = this.#entries.get(key);
    const isReplacement = before !== undefined && before.value === undefined;
    this.forget(key);
    const nowMs = this.#now();
    const lifeMs = Math.max(0, value.expiresAtMs - nowMs);
    const endsAtMs = value.expiresAtMs - Math.min(SAFETY_MS, lifeMs * SAFETY_SHARE);
    this.#entries.set(key, {
      value,
      fetchedAtMs: nowMs,
      refreshAtMs: value.expiresAtMs - Math.min(REFRESH_AHEAD_MS, lifeMs * REFRESH_SHARE),
      endsAtMs,
      isReplacement,
      expiry: DEADLINES.add(lifeMs, () => void this.#entries.delete(key)),
    });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#maxKeys && oldest !== undefined) this.forget(oldest);
  }
}
