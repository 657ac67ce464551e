import type { RestartPolicy } from "./link-policy.ts";

/** What an end means for the next start. */
export interface Rest {
  readonly waitMs: number;
  /** Set once the budget is spent: how often it ended, and within which time. */
  readonly spent?: { readonly ends: number; readonly windowMs: number };
}

/**
 * Counts how often a process of ours ended, and says how long to wait before it is started again. What ended
 * longer ago than the window no longer counts.
 */
export class Restarts {
  readonly #policy: RestartPolicy;
  /** When it ended, oldest first; never more than the budget and one. */
  #endsAtMs: readonly number[] = [];

  constructor(policy: RestartPolicy) {
    this.#policy = policy;
  }

  /** It ended by itself after it had been started. The first end within the window costs no wait. */
  exited(nowMs: number): Rest {
    return this.#ended(nowMs, 2);
  }

  /** It could not even be started: the next attempt waits in any case. */
  startFailed(nowMs: number): Rest {
    return this.#ended(nowMs, 1);
  }

  #ended(nowMs: number, firstToWait: number): Rest {
    const { backoffMinMs, backoffMaxMs, budget, windowMs } = this.#policy;
    const counting = this.#endsAtMs.filter((atMs) => nowMs - atMs < windowMs);
    const ends = [...counting, nowMs].slice(-(budget + 1));
    this.#endsAtMs = ends;
    const [oldestMs = nowMs] = ends;
    if (ends.length > budget) {
      return { waitMs: oldestMs + windowMs - nowMs, spent: { ends: ends.length, windowMs } };
    }
    if (ends.length < firstToWait) return { waitMs: 0 };
    return { waitMs: Math.min(backoffMinMs * 2 ** (ends.length - firstToWait), backoffMaxMs) };
  }
}
