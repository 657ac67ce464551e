/** Failures in a row after which an endpoint is left alone for a while. */
const FAILURE_THRESHOLD = 5;
const OPEN_MS = 60_000;

/** Endpoints that are remembered; one that is well need not be. */
const MAX_ENDPOINTS = 256;

interface Failures {
  count: number;
  openUntilMs: number;
}

/**
 * Which endpoints that give out tokens fail at the moment, shared by all who ask them.
 *
 * After five failures in a row an endpoint is left alone for a minute; then one request is let through, and its end
 * decides.
 */
export class EndpointBreakers {
  readonly #now: () => number;
  readonly #failing = new Map<string, Failures>();

  /** `now` gives monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** In how many milliseconds the endpoint may be asked; 0 if it may now, which counts as asking. */
  admit(url: string): number {
    const failures = this.#failing.get(url);
    if (failures === undefined || failures.count < FAILURE_THRESHOLD) return 0;
    const waitMs = failures.openUntilMs - this.#now();
    if (waitMs > 0) return waitMs;
    // Whoever comes while this one is out waits for what it finds.
    failures.openUntilMs = this.#now() + OPEN_MS;
    return 0;
  }

  succeeded(url: string): void {
    this.#failing.delete(url);
  }

  failed(url: string): void {
    const failures = this.#failing.get(url) ?? { count: 0, openUntilMs: 0 };
    failures.count += 1;
    failures.openUntilMs = this.#now() + OPEN_MS;
    this.#failing.delete(url);
    this.#failing.set(url, failures);
    const [oldest] = this.#failing.keys();
    if (this.#failing.size > MAX_ENDPOINTS && oldest !== undefined) this.#failing.delete(oldest);
  }
}
