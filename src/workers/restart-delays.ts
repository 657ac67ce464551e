export interface RestartDelaysOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** A worker that ran this long had started well, and its end is not one of a row. */
const STEADY_MS = 30_000;

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/** Ends in a row after which another start would come to the same. */
export const MAX_CRASHES = 5;

/** Says how long to wait before a worker that ended is started again, and when that has become useless. */
export class RestartDelays {
  readonly #now: () => number;
  #startedMs: number;
  #crashes = 0;

  constructor({ now }: RestartDelaysOptions) {
    this.#now = now;
    this.#startedMs = now();
  }

  started(): void {
    this.#startedMs = this.#now();
  }

  /** Notes an end. Milliseconds to wait, or undefined after too many ends in a row. */
  crashed(): number | undefined {
    if (this.#now() - this.#startedMs >= STEADY_MS) this.#crashes = 0;
    this.#crashes += 1;
    if (this.#crashes >= MAX_CRASHES) return undefined;
    return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#crashes - 1));
  }
}
