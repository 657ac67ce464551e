import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { CircuitBreaker, type CircuitState } from "./circuit-breaker.ts";

export interface BreakersOptions {
  /** Failures in a row that open a circuit; infinity leaves all circuits closed and only counts. */
  readonly failureThreshold: number;
  readonly openMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number;
  readonly isStalled: () => boolean;
  readonly logger: Logger;
  /** Told as `CircuitBreakerOptions.onChange` is. */
  readonly onChange: (breaker: CircuitBreaker, before: CircuitState) => void;
}

/** What a circuit is fed with: each use of the backend, or only the starts that go through `startUnder`. */
type Feed = "uses" | "starts";

type UseMethods = "isDoubtful" | "admit" | "succeeded" | "failed" | "withdrawn";

/** For a backend whose uses feed no circuit. */
const UNHEARD: Pick<CircuitBreaker, UseMethods> = {
  isDoubtful: false,
  admit() {},
  succeeded() {},
  failed() {},
  withdrawn() {},
};

interface Entry {
  readonly breaker: CircuitBreaker;
  readonly feed: Feed;
}

/**
 * The circuits of all backends, shared by all sessions: hears how each use ended and refuses those that would
 * only fail again. A backend without a circuit is let through.
 *
 * Where each session has a process of its own, what becomes of one process is its session's affair: such a
 * backend is judged by its starts alone, and sessions whose process runs are never refused.
 */
export class Breakers {
  readonly #options: BreakersOptions;
  readonly #entries = new Map<BackendName, Entry>();

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** Gives the backend a new circuit, closed. */
  add(backend: BackendName, feed: Feed): CircuitBreaker {
    const { failureThreshold, openMs, now, random = Math.random, isStalled } = this.#options;
    const breaker = new CircuitBreaker({
      backend,
      failureThreshold,
      openMs,
      now,
      random,
      isStalled,
      onChange: (changed, before) => this.#changed(changed, before),
    });
    this.#entries.set(backend, { breaker, feed });
    return breaker;
  }

  /** Takes the circuit away, if it is still the backend's. */
  remove(breaker: CircuitBreaker): void {
    if (this.#entries.get(breaker.backend)?.breaker === breaker) {
      this.#entries.delete(breaker.backend);
    }
  }

  get(backend: BackendName): CircuitBreaker | undefined {
    return this.#entries.get(backend)?.breaker;
  }

  /**
   * Who is asked before a use of the backend, and told how it ended. Stays the circuit that it is now, also when
   * the backend is given another one.
   */
  of(backend: BackendName): Pick<CircuitBreaker, UseMethods> {
    const entry = this.#entries.get(backend);
    return entry?.feed === "uses" ? entry.breaker : UNHEARD;
  }

  #changed(breaker: CircuitBreaker, before: CircuitState): void {
    if (breaker.state !== before) this.#log(breaker);
    this.#options.onChange(breaker, before);
  }

  #log({ backend, state, failures, retryAfterSeconds, lastFailure }: CircuitBreaker): void {
    const { logger } = this.#options;
    const circuit = { backend, circuit: state };
    if (state === "closed") logger.info("circuit of a backend closed", circuit);
    if (state === "half-open") logger.debug("circuit of a backend lets one use through", circuit);
    if (state !== "open") return;
    const reason = lastFailure?.message;
    logger.warn("circuit of a backend opened", { ...circuit, failures, retryAfterSeconds, reason });
  }
}

/** Runs one start under the breaker, if there is one: refused while it is open, and its end is told. */
export async function startUnder<T>(
  breaker: CircuitBreaker | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  breaker?.admit();
  try {
    const started = await attempt();
    breaker?.succeeded();
    return started;
  } catch (thrown) {
    breaker?.failed(VmcpError.from(thrown));
    throw thrown;
  }
}
