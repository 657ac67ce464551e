import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { DEADLINES, type Deadline } from "../../../lib/deadlines.ts";

/** A sign-in that was asked for and has not come back. */
export interface PendingSignIn<T> {
  /** Stands in the link that the user opens. */
  readonly ticket: string;
  /** What the authorization server gives back. */
  readonly state: string;
  /** What the browser that opened the link keeps, so that no other can finish what it began. */
  readonly browserKey: string;
  readonly purpose: T;
}

/** How long a user has. */
const LIFETIME_MS = 600_000;

/** Beyond this many the oldest is forgotten. */
const MAX_PENDING = 1_000;

const SECRET_BYTES = 24;

/** Sign-ins that are under way. Each can be begun as often as its user likes, and finished once. */
export class PendingSignIns<T> implements Disposable {
  readonly #byTicket = new Map<string, PendingSignIn<T>>();
  readonly #byState = new Map<string, PendingSignIn<T>>();
  readonly #expiries = new Map<string, Deadline>();

  get size(): number {
    return this.#byTicket.size;
  }

  add(purpose: T): PendingSignIn<T> {
    const [ticket, state, browserKey] = [newSecret(), newSecret(), newSecret()];
    const pending = { ticket, state, browserKey, purpose };
    this.#byTicket.set(ticket, pending);
    this.#byState.set(state, pending);
    this.#expiries.set(
      ticket,
      DEADLINES.add(LIFETIME_MS, () => this.#forget(pending)),
    );
    const [oldest] = this.#byTicket.values();
    if (this.#byTicket.size > MAX_PENDING && oldest !== undefined) this.#forget(oldest);
    return pending;
  }

  withTicket(ticket: string): PendingSignIn<T> | undefined {
    return this.#byTicket.get(ticket);
  }

  /** Takes it out, so that it is finished once at most: by the browser that began it, and by no other. */
  finish(state: string, browserKeys: readonly string[]): PendingSignIn<T> | undefined {
    const pending = this.#byState.get(state);
    if (pending === undefined) return undefined;
    if (!browserKeys.some((key) => isSame(pending.browserKey, key))) return undefined;
    this.#forget(pending);
    return pending;
  }

  [Symbol.dispose](): void {
    for (const pending of this.#byTicket.values()) this.#forget(pending);
  }

  #forget({ ticket, state }: PendingSignIn<T>): void {
    this.#expiries.get(ticket)?.cancel();
    this.#expiries.delete(ticket);
    this.#byTicket.delete(ticket);
    this.#byState.delete(state);
  }
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** In time that does not depend on where they differ. */
function isSame(expected: string, given: string): boolean {
  return timingSafeEqual(digest(expected), digest(given));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
