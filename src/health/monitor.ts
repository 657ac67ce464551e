import type { BackendName } from "../domain/ids.ts";
import type { BackendHealth } from "./backend-health.ts";
import { BackendWatch, type ProbedBackend, type WatchOptions } from "./backend-watch.ts";
import { Breakers } from "./breakers.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { LoopWatch } from "./loop-watch.ts";

export interface MonitorOptions extends Omit<WatchOptions, "now" | "random" | "isStalled"> {
  readonly circuitBreaker: {
    readonly isEnabled: boolean;
    readonly failureThreshold: number;
    /** How long a circuit stays open before one use is let through. */
    readonly openMs: number;
  };
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Knows how every backend is: by asking each of them at start and every interval, and by hearing how its uses
 * end. Its circuits refuse uses of those that fail; everything else is decided by those who are told.
 */
export class HealthMonitor implements AsyncDisposable {
  /** Shared by all sessions; refuses nothing before something has failed. */
  readonly breakers: Breakers;
  readonly #loop: LoopWatch;
  readonly #watchOptions: WatchOptions;
  readonly #leaving = new Set<Promise<void>>();
  #watches: ReadonlyMap<BackendName, BackendWatch> = new Map();
  #isStarted = false;

  constructor(options: MonitorOptions) {
    const { circuitBreaker, now, logger, random = Math.random } = options;
    this.#loop = new LoopWatch({ now });
    const isStalled = (): boolean => this.#loop.isStalled();
    this.#watchOptions = { ...options, random, isStalled };
    const { isEnabled, failureThreshold, openMs } = circuitBreaker;
    this.breakers = new Breakers({
      failureThreshold: isEnabled ? failureThreshold : Number.POSITIVE_INFINITY,
      openMs,
      now,
      random,
      isStalled,
      logger,
      onChange: (breaker, before) => {
        this.#watchOf(breaker)?.breakerChanged(breaker.state !== before);
      },
    });
  }

  /** Probes every backend at once; resolves when all have answered or failed. Then goes on by itself. */
  async start(): Promise<void> {
    this.#isStarted = true;
    this.#loop.start();
    await Promise.all([...this.#watches.values()].map(async (watch) => watch.start()));
  }

  /**
   * Watches these backends from now on; before the first time there are none. One that is watched already, as the
   * same object, is not disturbed; one that is new is probed at once if the monitor was started; one that is gone
   * is left in the background.
   */
  replaceBackends(backends: readonly ProbedBackend[]): void {
    const before = this.#watches;
    for (const watch of before.values()) {
      if (!backends.includes(watch.backend)) this.#leave(watch);
    }
    this.#watches = new Map(
      backends.map((backend) => {
        const kept = before.get(backend.name);
        return [backend.name, kept?.backend === backend ? kept : this.#createWatch(backend)];
      }),
    );
    if (!this.#isStarted) return;
    // A watch that was started before goes on as it is.
    for (const watch of this.#watches.values()) void watch.start();
  }

  /** Resolves when nothing more is asked of the backends that are watched no longer. */
  async left(): Promise<void> {
    await Promise.allSettled(this.#leaving);
  }

  /** A user has reached a backend that is not probed. */
  reached(backend: BackendName, toolCount: number): void {
    this.#watches.get(backend)?.reached(toolCount);
  }

  /** In the order of the backends. */
  health(): readonly BackendHealth[] {
    return [...this.#watches.values()].map((watch) => watch.health());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#loop[Symbol.dispose]();
    for (const watch of this.#watches.values()) this.#leave(watch);
    await this.left();
  }

  #createWatch(backend: ProbedBackend): BackendWatch {
    const breaker = this.breakers.add(backend.name, backend.startsProcess ? "starts" : "uses");
    return new BackendWatch(backend, breaker, this.#watchOptions);
  }

  #watchOf(breaker: CircuitBreaker): BackendWatch | undefined {
    const watch = this.#watches.get(breaker.backend);
    return watch?.breaker === breaker ? watch : undefined;
  }

  #leave(watch: BackendWatch): void {
    this.breakers.remove(watch.breaker);
    const leaving = watch[Symbol.asyncDispose]();
    this.#leaving.add(leaving);
    void this.#forget(leaving);
  }

  async #forget(leaving: Promise<void>): Promise<void> {
    await leaving.catch(() => {});
    this.#leaving.delete(leaving);
  }
}
