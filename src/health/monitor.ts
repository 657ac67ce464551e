import { setMaxListeners } from "node:events";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";

/** What a probe found: how many tools the backend lists. */
interface ProbeFinding {
  readonly toolCount: number;
}

/** A backend as the monitor sees it. */
export interface ProbedBackend {
  readonly name: BackendName;
  /** Connects, lists and closes. Rejects if the backend cannot be used. */
  probe(signal: AbortSignal): Promise<ProbeFinding>;
  /** False: once it was found alive it is not asked again, because each probe would start a process. */
  readonly isProbedAgain: boolean;
  /** For a probe before the backend was ever seen alive: a program may have to be installed first. */
  readonly startTimeoutMs: number;
}

/** `unknown` until the first probe has ended; `degraded` while failures are fewer than the threshold. */
export type HealthState = "unknown" | "healthy" | "degraded" | "unhealthy";

export interface BackendHealth {
  readonly name: BackendName;
  readonly state: HealthState;
  /** As last listed; undefined if the backend was never reached. */
  readonly toolCount: number | undefined;
  /** Why the last probe failed. */
  readonly reason: string | undefined;
}

export interface MonitorOptions {
  readonly backends: readonly ProbedBackend[];
  readonly intervalMs: number;
  /** For one probe of a backend that was alive before. */
  readonly timeoutMs: number;
  /** Probes that must fail in a row before a backend counts as unhealthy. */
  readonly unhealthyThreshold: number;
  readonly logger: Logger;
  /** Called after each probe whose outcome differs from the one before, the first included. */
  readonly onChange: (health: BackendHealth) => void;
  /** Called after each probe that found the backend alive. */
  readonly onAlive: (backend: BackendName) => void;
}

interface Watched {
  readonly backend: ProbedBackend;
  health: BackendHealth;
  failures: number;
}

/**
 * Knows which backends are alive, by asking them at start and every interval. It decides nothing: those who
 * are told do.
 */
export class HealthMonitor implements AsyncDisposable {
  readonly #options: MonitorOptions;
  readonly #watched: readonly Watched[];
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    // One listener for each backend that is being probed, and there may be many.
    setMaxListeners(0, this.#closing.signal);
    this.#watched = options.backends.map((backend) => ({
      backend,
      health: { name: backend.name, state: "unknown", toolCount: undefined, reason: undefined },
      failures: 0,
    }));
  }

  /** Probes every backend at once; resolves when all have answered or failed. Then goes on by itself. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#probeAll(), this.#options.intervalMs).unref();
    this.#probeAll();
    await Promise.all(this.#running);
  }

  health(): readonly BackendHealth[] {
    return this.#watched.map(({ health }) => health);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new VmcpError("shutting_down", "The gateway is shutting down"));
    await Promise.all(this.#running);
  }

  #probeAll(): void {
    for (const watched of this.#watched) {
      if (watched.health.state === "healthy" && !watched.backend.isProbedAgain) continue;
      const probe = this.#probe(watched);
      this.#running.add(probe);
      void this.#forget(probe);
    }
  }

  async #forget(probe: Promise<void>): Promise<void> {
    await probe;
    this.#running.delete(probe);
  }

  async #probe(watched: Watched): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    const attempt = new AbortController();
    const giveUp = (): void => attempt.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    const isFirst = watched.health.toolCount === undefined;
    const timeoutMs = isFirst ? watched.backend.startTimeoutMs : this.#options.timeoutMs;
    const timer = setTimeout(() => attempt.abort(timedOut(watched, timeoutMs)), timeoutMs);
    try {
      const { toolCount } = await watched.backend.probe(attempt.signal);
      watched.failures = 0;
      this.#set(watched, { state: "healthy", toolCount, reason: undefined });
      this.#options.onAlive(watched.backend.name);
    } catch (error) {
      if (!signal.aborted) this.#failed(watched, messageOf(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
  }

  #failed(watched: Watched, reason: string): void {
    watched.failures += 1;
    const wasEverHealthy = watched.health.toolCount !== undefined;
    const isTolerated = wasEverHealthy && watched.failures < this.#options.unhealthyThreshold;
    const { toolCount } = watched.health;
    this.#set(watched, { state: isTolerated ? "degraded" : "unhealthy", toolCount, reason });
  }

  #set(watched: Watched, next: Omit<BackendHealth, "name">): void {
    const before = watched.health;
    watched.health = { name: before.name, ...next };
    if (before.state === next.state && before.toolCount === next.toolCount) return;
    if (next.reason !== undefined) {
      this.#options.logger.warn("backend is not healthy", {
        backend: before.name,
        state: next.state,
        reason: next.reason,
      });
    }
    this.#options.onChange(watched.health);
  }
}

function timedOut({ backend }: Watched, timeoutMs: number): VmcpError {
  return new VmcpError(
    "backend_timeout",
    `Backend "${backend.name}" did not answer within ${timeoutMs} ms`,
    { backend: backend.name, executionState: "not_executed" },
  );
}
