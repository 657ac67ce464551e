/** How often the watch looks whether the event loop turns. */
const BEAT_MS = 500;

/** Once the loop stood still, what ran out meanwhile comes all at once, and answers are read after that. */
const RECOVERY_MS = 1_000;

export interface LoopWatchOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly beatMs?: number;
  readonly recoveryMs?: number;
}

/**
 * Knows when this process itself stood still: waits that ended then say nothing of those who were waited for.
 *
 * Needs `start`; until then it reports no standstill. Its timer does not keep the process alive.
 */
export class LoopWatch implements Disposable {
  readonly #now: () => number;
  readonly #beatMs: number;
  readonly #recoveryMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastBeatMs = 0;
  #recoveringUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ now, beatMs = BEAT_MS, recoveryMs = RECOVERY_MS }: LoopWatchOptions) {
    this.#now = now;
    this.#beatMs = beatMs;
    this.#recoveryMs = recoveryMs;
  }

  start(): void {
    this.#lastBeatMs = this.#now();
    this.#timer ??= setInterval(() => this.#beat(), this.#beatMs).unref();
  }

  /** Whether the loop stood still just now, so that a wait which ends now may have ended for that alone. */
  isStalled(): boolean {
    if (this.#timer === undefined) return false;
    // Asked by a timer that fires before the beat does, the beat is what is late.
    this.#notice();
    return this.#now() < this.#recoveringUntilMs;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #beat(): void {
    this.#notice();
    this.#lastBeatMs = this.#now();
  }

  #notice(): void {
    const now = this.#now();
    if (now - this.#lastBeatMs > 2 * this.#beatMs) this.#recoveringUntilMs = now + this.#recoveryMs;
  }
}
