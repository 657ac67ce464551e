import type { LateSignal } from "../lib/late-signal.ts";

/** How long the start of a session waits for its backends. Default of each: without limit. */
export interface StartPatience {
  /** For those that the session can do without for now. */
  readonly optionalMs?: number | undefined;
  /** For all of them together. */
  readonly deadlineMs?: number | undefined;
  /** Gives up. */
  readonly withdrawal?: LateSignal | undefined;
  /** The same, where there is no withdrawal. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for the attempts with which a session starts, all of them with one promise, one timer and one listener. The
 * attempts themselves run on, whatever became of the wait.
 */
export class StartWait {
  readonly #patience: StartPatience;
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;
  /** Attempts that have not ended, and those among them that the session cannot do without. */
  #pending = 0;
  #needed = 0;
  #isPatient = true;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    patience: StartPatience,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.#patience = patience;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Resolves when each attempt that `begin` names has ended or been waited for long enough; rejects when the signal
   * aborts, or one of them fails.
   */
  static over(
    patience: StartPatience,
    begin: (attempt: (ending: Promise<void>, isNeeded: boolean) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const wait = new StartWait(patience, resolve, reject);
      begin((ending, isNeeded) => void wait.#follow(ending, isNeeded));
      wait.#begin();
    });
  }

  handleEvent(): void {
    const { withdrawal, signal } = this.#patience;
    this.#end();
    this.#reject(withdrawal === undefined ? signal?.reason : withdrawal.reason);
  }

  #begin(): void {
    const { optionalMs, deadlineMs, withdrawal, signal } = this.#patience;
    const isWithdrawn = withdrawal === undefined ? signal?.aborted : withdrawal.isAborted;
    if (isWithdrawn === true) this.handleEvent();
    else if (this.#isEnough()) this.#succeed();
    if (this.#isOver) return;
    if (withdrawal === undefined) signal?.addEventListener("abort", this);
    else withdrawal.onAbort(() => this.handleEvent());
    const firstMs = Math.min(optionalMs ?? Infinity, deadlineMs ?? Infinity);
    if (firstMs !== Infinity) this.#timer = setTimeout(() => this.#waited(firstMs), firstMs);
  }

  async #follow(ending: Promise<void>, isNeeded: boolean): Promise<void> {
    this.#pending += 1;
    if (isNeeded) this.#needed += 1;
    try {
      await ending;
    } catch (error) {
      this.#end();
      this.#reject(error);
      return;
    }
    this.#pending -= 1;
    if (isNeeded) this.#needed -= 1;
    if (this.#isEnough()) this.#succeed();
  }

  #waited(ms: number): void {
    const { deadlineMs = Infinity } = this.#patience;
    this.#isPatient = false;
    if (ms >= deadlineMs || this.#isEnough()) this.#succeed();
    else if (deadlineMs !== Infinity) {
      this.#timer = setTimeout(() => this.#waited(deadlineMs), deadlineMs - ms);
    }
  }

  #isEnough(): boolean {
    return this.#pending === 0 || (this.#needed === 0 && !this.#isPatient);
  }

  #succeed(): void {
    if (this.#isOver) return;
    this.#end();
    this.#resolve();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    const { withdrawal, signal } = this.#patience;
    if (withdrawal === undefined) signal?.removeEventListener("abort", this);
    else withdrawal.onAbort(undefined);
  }
}
