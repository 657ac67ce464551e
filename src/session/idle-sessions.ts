import type { SessionId } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { MultiSession } from "./session.ts";

export interface IdleSessionsOptions<S extends MultiSession> {
  /** Every session that can be called now. */
  readonly live: () => readonly S[];
  /** The session of that id while it can be called. */
  readonly find: (id: SessionId) => S | undefined;
  /** Only a session that nobody used for this long may go. */
  readonly idleForMs: number;
  readonly clock: () => number;
  readonly logger: Logger;
}

interface Candidate {
  readonly id: SessionId;
  readonly lastUsedAtMs: number;
}

/** Looking at every session costs something, and a gateway that is full is asked often. */
const MIN_LOOK_INTERVAL_MS = 1_000;

/** Between two lines in the log about sessions that had to go. */
const LOG_INTERVAL_MS = 60_000;

/**
 * Finds the sessions that may make room for new ones: the least recently used first, and never one that is busy.
 *
 * All sessions are looked at only when those found the last time are used up and time enough has passed for
 * another one to be idle, so that a request which is refused costs next to nothing.
 */
export class IdleSessions<S extends MultiSession> {
  readonly #options: IdleSessionsOptions<S>;
  /** Ids and not sessions, which would otherwise outlive their end. The last one goes first. */
  #candidates: Candidate[] = [];
  #nextLookAtMs = 0;
  #taken = 0;
  #nextLogAtMs = 0;

  constructor(options: IdleSessionsOptions<S>) {
    this.#options = options;
  }

  /** The session that is to make room now, for the caller to end. Undefined if none may go. */
  take(): S | undefined {
    const known = this.#next();
    if (known !== undefined) return known;
    const nowMs = this.#options.clock();
    if (nowMs < this.#nextLookAtMs) return undefined;
    this.#look(nowMs);
    return this.#next();
  }

  #next(): S | undefined {
    for (;;) {
      const candidate = this.#candidates.pop();
      if (candidate === undefined) return undefined;
      const session = this.#options.find(candidate.id);
      if (session === undefined || session.isBusy) continue;
      // One that was used since is not the least recently used any more.
      if (session.lastUsedAtMs !== candidate.lastUsedAtMs) continue;
      this.#tell();
      return session;
    }
  }

  #look(nowMs: number): void {
    const { idleForMs, live } = this.#options;
    const found: Candidate[] = [];
    let nextAtMs = nowMs + idleForMs;
    for (const { id, isBusy, lastUsedAtMs } of live()) {
      if (isBusy) continue;
      const idleAtMs = lastUsedAtMs + idleForMs;
      if (idleAtMs <= nowMs) found.push({ id, lastUsedAtMs });
      else nextAtMs = Math.min(nextAtMs, idleAtMs);
    }
    const byUse = found.toSorted((left, right) => left.lastUsedAtMs - right.lastUsedAtMs);
    this.#candidates = byUse.toReversed();
    this.#nextLookAtMs = Math.max(nextAtMs, nowMs + Math.min(MIN_LOOK_INTERVAL_MS, idleForMs));
  }

  #tell(): void {
    this.#taken += 1;
    const { clock, logger } = this.#options;
    const nowMs = clock();
    if (nowMs < this.#nextLogAtMs) return;
    this.#nextLogAtMs = nowMs + LOG_INTERVAL_MS;
    logger.warn("idle sessions are ended to make room for new ones", { ended: this.#taken });
    this.#taken = 0;
  }
}
