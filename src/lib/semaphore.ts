/** Lets at most `limit` holders in at a time; those who wait are served in order. */
export class Semaphore {
  readonly #limit: number;
  /** Made when somebody has to wait: most semaphores never see that. */
  #waiting: Set<() => void> | undefined;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A permit to dispose of, or undefined where one would have to wait for it. */
  tryAcquire(): Disposable | undefined {
    if (this.#held >= this.#limit) return undefined;
    this.#held += 1;
    return new Permit(this);
  }

  /** Resolves with a permit to dispose of; rejects with the signal's reason if that comes first. */
  async acquire(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#held >= this.#limit) await this.#turn(signal);
    this.#held += 1;
    return new Permit(this);
  }

  /** For permits only. */
  release(): void {
    this.#held -= 1;
    if (this.#waiting !== undefined) this.#wakeNext(this.#waiting);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting?.delete(wake);
        reject(signal.reason);
      };
      this.#waiting ??= new Set();
      this.#waiting.add(wake);
      signal.addEventListener("abort", giveUp, { once: true });
    });
    // Someone who did not have to wait may have come in between waking and running.
    if (this.#held >= this.#limit) await this.#turn(signal);
  }

  #wakeNext(waiting: Set<() => void>): void {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  }
}

/** Gives back what was acquired, once however often it is disposed of. */
class Permit implements Disposable {
  #semaphore: Semaphore | undefined;

  constructor(semaphore: Semaphore) {
    this.#semaphore = semaphore;
  }

  [Symbol.dispose](): void {
    const semaphore = this.#semaphore;
    this.#semaphore = undefined;
    semaphore?.release();
  }
}
