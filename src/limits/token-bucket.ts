/** So many tokens at most, and as many again in the course of each period. */
export interface BucketSettings {
  readonly maxTokens: number;
  readonly refillPeriodMs: number;
}

/** Less than this is the error of adding up fractions, and no token that is missing. */
const ROUNDING = 1e-9;

/** Counts how often something may happen. Needs no timer: what came back meanwhile is reckoned when it is asked. */
export class TokenBucket {
  readonly #settings: BucketSettings;
  #tokens: number;
  #countedAtMs: number;

  /** Full at the beginning. */
  constructor(settings: BucketSettings, nowMs: number) {
    this.#settings = settings;
    this.#tokens = settings.maxTokens;
    this.#countedAtMs = nowMs;
  }

  /** How long it takes until there is a token, in milliseconds; 0 where there is one. Takes none. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    if (this.#tokens >= 1 - ROUNDING) return 0;
    const { maxTokens, refillPeriodMs } = this.#settings;
    return ((1 - this.#tokens) * refillPeriodMs) / maxTokens;
  }

  /** Takes the token that `waitMs` has found. */
  take(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  #refill(nowMs: number): void {
    const passedMs = nowMs - this.#countedAtMs;
    // A clock that goes back gives nothing and takes nothing.
    if (passedMs <= 0) return;
    const { maxTokens, refillPeriodMs } = this.#settings;
    this.#tokens = Math.min(maxTokens, this.#tokens + (passedMs * maxTokens) / refillPeriodMs);
    this.#countedAtMs = nowMs;
  }
}
