import type { LateSignal } from "./late-signal.ts";

/** Lets at most `limit` holders in at a time; those who wait are served in order. */
export class Semaphore {
  readonly #limit: number;
  /** Made when somebody has to wait: most semaphores never see that. */
  #waiting: Set<(permit: Disposable) => void> | undefined;
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

  /**
   * Resolves with a permit to dispose of; rejects with the reason of the withdrawal if that comes first. The withdrawal
   * has no other listener meanwhile.
   */
  acquire(withdrawal: LateSignal): Promise<Disposable> {
    return new Promise((resolve, reject) => {
      withdrawal.throwIfAborted();
      const free = this.tryAcquire();
      if (free === undefined) this.#wait(withdrawal, resolve, reject);
      else resolve(free);
    });
  }

  /** For permits only. The place of one who leaves is taken by who waits longest, before anyone else can. */
  release(): void {
    for (const letIn of this.#waiting ?? []) {
      this.#waiting?.delete(letIn);
      letIn(new Permit(this));
      return;
    }
    this.#held -= 1;
  }

  #wait(
    withdrawal: LateSignal,
    resolve: (permit: Disposable) => void,
    reject: (reason: unknown) => void,
  ): void {
    const letIn = (permit: Disposable): void => {
      withdrawal.onAbort(undefined);
      resolve(permit);
    };
    this.#waiting ??= new Set();
    this.#waiting.add(letIn);
    withdrawal.onAbort((reason) => {
      this.#waiting?.delete(letIn);
      reject(reason);
    });
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
