import type { BackendName } from "../domain/ids.ts";
import { LateSignal } from "../lib/late-signal.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { ConnectOutcome } from "./backend-connection.ts";
import { startTimeout } from "./link-failures.ts";

export interface AttemptOptions {
  readonly name: BackendName;
  /** Permits to take first, narrowest first. */
  readonly slots: readonly Semaphore[];
  /** For connecting, once the permits are there. */
  readonly timeoutMs: number;
  /** Throws where nothing may be tried. */
  readonly admit: () => void;
  readonly connect: (signal: AbortSignal) => Promise<ConnectOutcome>;
  /** Hears of an attempt that nobody waits for any more, and that has not ended: what it makes is closed. */
  readonly onAbandoned: (ending: Promise<void>) => void;
}

/**
 * How long an attempt holds its permits. They spread the work of starting; a backend that takes longer has
 * everyone wait for it alone.
 */
const PERMIT_MS = 1_000;

/**
 * One attempt to connect. It ends when it succeeds, fails, takes too long, or is aborted; that does not depend on
 * whether the one who connects heeds the signal.
 */
export class ConnectAttempt {
  readonly #options: AttemptOptions;
  readonly #withdrawal = new LateSignal();
  readonly #permits: Disposable[] = [];
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;
  #isConnecting = false;
  #isOver = false;
  #resolve: (outcome: ConnectOutcome) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** Begins, once. Rejects when the attempt fails, takes too long, or is aborted. */
  run(): Promise<ConnectOutcome> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#work = this.#connect();
    });
  }

  /** Harmless once the attempt is over. */
  abort(reason: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#withdrawal.abort(reason);
    this.#reject(reason);
    if (this.#isConnecting && this.#work !== undefined) this.#options.onAbandoned(this.#work);
  }

  /** Goes on after the attempt is over where the one who connects does: what it makes is closed then. */
  async #connect(): Promise<void> {
    let outcome: ConnectOutcome;
    try {
      for (const slot of this.#options.slots) {
        const permit = slot.tryAcquire() ?? (await slot.acquire(this.#withdrawal));
        this.#permits.push(permit);
      }
      this.#withdrawal.throwIfAborted();
      // Last, so that a backend which was found broken meanwhile is not tried by all who waited for a permit.
      this.#options.admit();
      this.#watch();
      this.#isConnecting = true;
      outcome = await this.#options.connect(this.#withdrawal.signal);
    } catch (thrown) {
      this.#end();
      this.#reject(thrown);
      return;
    }
    if (this.#isOver) {
      await outcome.connection?.[Symbol.asyncDispose]();
      return;
    }
    this.#end();
    this.#resolve(outcome);
  }

  /** One timer for both: first the permits are given back, then the time to start is over. */
  #watch(): void {
    const { name, timeoutMs } = this.#options;
    const expire = (): void => this.abort(startTimeout(name, timeoutMs));
    if (timeoutMs <= PERMIT_MS) {
      this.#timer = setTimeout(expire, timeoutMs);
      return;
    }
    this.#timer = setTimeout(() => {
      this.#release();
      this.#timer = setTimeout(expire, timeoutMs - PERMIT_MS);
    }, PERMIT_MS);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#release();
  }

  /** Harmless when it was done before. */
  #release(): void {
    for (const permit of this.#permits) permit[Symbol.dispose]();
  }
}
