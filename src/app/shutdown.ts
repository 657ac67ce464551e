import type { Logger } from "../domain/logger.ts";
import { settledWithin } from "../lib/settled-within.ts";

export interface CloseOptions {
  /**
   * How long everything is served as before, new sessions too, while `/readyz` answers 503, so that a balancer
   * turns away before the listener closes. Default 0; a further `close` without it ends the wait.
   */
  readonly graceMs?: number;
}

/** What has to be closed, in this order. None of it may depend on what comes after it. */
export interface ShutdownSteps {
  /** Says in `/readyz` that clients should go elsewhere. */
  readonly announce: () => void;
  readonly stopAccepting: () => void;
  /** Ends the sessions, which waits for their calls in flight, and whatever else uses backends. */
  readonly endSessions: () => Promise<unknown>;
  /** Cuts what is left. */
  readonly cut: () => Promise<void>;
}

export interface ShutdownOptions {
  /** How long calls in flight may take. */
  readonly drainDeadlineMs: () => number;
  readonly logger: Logger;
}

/** For backends to be told of the end, once the calls are over or were cut short. */
const ENDING_MS = 1_500;

/** Closes a gateway once, politely first, and never takes longer than grace, drain deadline and two seconds. */
export class Shutdown {
  readonly #steps: ShutdownSteps;
  readonly #options: ShutdownOptions;
  readonly #hurried: Promise<void>;
  #hurry: () => void = () => {};
  #done: Promise<void> | undefined;

  constructor(steps: ShutdownSteps, options: ShutdownOptions) {
    this.#steps = steps;
    this.#options = options;
    this.#hurried = new Promise((resolve) => {
      this.#hurry = resolve;
    });
  }

  async run({ graceMs = 0 }: CloseOptions = {}): Promise<void> {
    if (graceMs === 0) this.#hurry();
    this.#done ??= this.#run(graceMs);
    return this.#done;
  }

  async #run(graceMs: number): Promise<void> {
    const { announce, stopAccepting, endSessions, cut } = this.#steps;
    announce();
    if (graceMs > 0) await settledWithin(this.#hurried, graceMs);
    stopAccepting();
    const deadlineMs = this.#options.drainDeadlineMs() + ENDING_MS;
    const isDone = await settledWithin(endSessions(), deadlineMs);
    if (!isDone) this.#options.logger.warn("not everything ended in time; the rest is cut");
    await cut();
  }
}
