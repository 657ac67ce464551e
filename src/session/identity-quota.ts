import { VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";

/** Told to a client that was refused for lack of room. */
export const RETRY_AFTER_SECONDS = 30;

/**
 * Counts the sessions of each identified client, so that one of them cannot take the places of all others.
 *
 * Anonymous clients are not told apart: taken together they would stand for one. Holds as many entries as there
 * are sessions.
 */
export class IdentityQuota {
  readonly #maxSessions: number;
  readonly #owners = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  constructor(maxSessions: number) {
    this.#maxSessions = maxSessions;
  }

  /** Throws `too_many_sessions` where the client has as many sessions as it may have. */
  requireRoom(identity: Identity): void {
    const owner = ownerOf(identity);
    if (owner === undefined || (this.#counts.get(owner) ?? 0) < this.#maxSessions) return;
    throw new VmcpError(
      "too_many_sessions",
      "This client has too many sessions open: end one of them, or try again later",
      { retryAfterSeconds: RETRY_AFTER_SECONDS },
    );
  }

  /** Counts a session until it is released. Throws as `requireRoom` does. */
  claim(sessionId: string, identity: Identity): void {
    this.requireRoom(identity);
    const owner = ownerOf(identity);
    if (owner === undefined) return;
    this.#owners.set(sessionId, owner);
    this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1);
  }

  /** The session has gone; harmless for one that does not count. */
  release(sessionId: string): void {
    const owner = this.#owners.get(sessionId);
    if (owner === undefined) return;
    this.#owners.delete(sessionId);
    const left = (this.#counts.get(owner) ?? 0) - 1;
    if (left > 0) this.#counts.set(owner, left);
    else this.#counts.delete(owner);
  }
}

/**
 * Stands for an identity in counts; undefined for anonymous clients. No two identities share a text, whatever
 * characters they are made of.
 */
export function ownerOf(identity: Identity): string | undefined {
  return identity.kind === "verified"
    ? JSON.stringify([identity.issuer, identity.subject])
    : undefined;
}
