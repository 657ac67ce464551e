import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { judge, type BackendHealth, type HealthState } from "./backend-health.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";

/** What a probe found. */
interface ProbeFinding {
  /** How many tools the backend lists. */
  readonly toolCount: number;
  /** How long an answer took; undefined where starting was all that was seen. */
  readonly latencyMs: number | undefined;
}

/** A backend as it is watched. */
export interface ProbedBackend {
  readonly name: BackendName;
  /** Sees whether the backend answers. Rejects if it cannot be used; one runs at a time. */
  probe(signal: AbortSignal): Promise<ProbeFinding>;
  /**
   * Each probe and each session starts a process of its own: while it is well it is not probed again, and only
   * its starts are judged.
   */
  readonly startsProcess: boolean;
  /**
   * Only users can ask it anything: it is never probed, and what becomes of its uses tells how it is. `retried`:
   * sessions that had to do without it try again each interval; `waiting`: they are told when to.
   */
  readonly perUser?: "retried" | "waiting" | undefined;
  /** For a probe before the backend was ever seen alive: a program may have to be installed first. */
  readonly startTimeoutMs: number;
  /** Ends what was kept open for the next probe. Called once, after the last probe. */
  close(): Promise<void>;
}

/** What all backends are watched by. */
export interface WatchOptions {
  /** Between two probes, a tenth more or less. */
  readonly intervalMs: number;
  /** For one probe of a backend that was alive before. */
  readonly timeoutMs: number;
  /** Probes that must fail in a row before a backend counts as unhealthy. */
  readonly unhealthyThreshold: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Whether this process stood still just now, so that a probe may have failed for that alone. */
  readonly isStalled: () => boolean;
  readonly logger: Logger;
  /** Called when the state or the number of tools is another than before, the first time included. */
  readonly onChange: (health: BackendHealth) => void;
  /** Called after each probe that found the backend alive, and when its circuit closes. */
  readonly onAlive: (backend: BackendName) => void;
}

/** A part of the interval by which it varies at random, so that gateways and backends spread out. */
const JITTER = 0.1;

/** While a circuit is open its backend is looked at less often, or when the circuit lets a use through. */
const OPEN_INTERVALS = 3;

/** Slow is an answer that takes more than this part of a probe's time, but never one below the floor. */
const SLOW_SHARE = 1 / 8;
const SLOW_FLOOR_MS = 250;

/** How soon a probe is repeated that failed because this process stood still. */
const AFTER_STALL_MS = 1_000;

type Known = Pick<BackendHealth, "state" | "toolCount" | "reason">;

/** Watches one backend: probes it again and again, and says how it is by that and by how its uses end. */
export class BackendWatch implements AsyncDisposable {
  readonly backend: ProbedBackend;
  readonly breaker: CircuitBreaker;
  readonly #options: WatchOptions;
  readonly #closing = new AbortController();
  #known: Known = { state: "unknown", toolCount: undefined, reason: undefined };
  #sinceMs: number;
  #probeFailures = 0;
  #probeReason: string | undefined;
  #hasBeenReached: boolean | undefined;
  #latencyMs: number | undefined;
  /** The number of tools that was told last. */
  #toldToolCount: number | undefined;
  #hasStalled = false;
  #first: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(backend: ProbedBackend, breaker: CircuitBreaker, options: WatchOptions) {
    this.backend = backend;
    this.breaker = breaker;
    this.#options = options;
    this.#sinceMs = options.now();
  }

  /** Probes at once and goes on by itself; resolves when the first probe has ended. Safe to repeat. */
  async start(): Promise<void> {
    this.#first ??= this.#begin();
    await this.#first;
  }

  health(): BackendHealth {
    const { state, retryAfterSeconds } = this.breaker;
    return {
      name: this.backend.name,
      ...this.#known,
      sinceSeconds: Math.floor((this.#options.now() - this.#sinceMs) / 1_000),
      latencyMs: this.#latencyMs,
      circuit: state,
      retryAfterSeconds,
    };
  }

  /** To be called when the breaker tells of a change. */
  breakerChanged(isNewState: boolean): void {
    if (this.#closing.signal.aborted) return;
    this.#update();
    if (!isNewState) return;
    const isWaiting = this.#timer !== undefined && this.#running === undefined;
    if (isWaiting) this.#schedule();
    if (this.breaker.state === "closed") this.#options.onAlive(this.backend.name);
  }

  /** A user has reached the backend, which listed this many tools. */
  reached(toolCount: number): void {
    if (this.#closing.signal.aborted) return;
    this.#hasBeenReached = true;
    this.#known = { ...this.#known, toolCount };
    this.breaker.seenAlive();
    this.#update();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#closing.abort(new VmcpError("shutting_down", "The gateway is shutting down"));
    await this.#running;
    await this.backend.close();
  }

  async #begin(): Promise<void> {
    if (this.backend.perUser === "retried") this.#schedule();
    if (this.backend.perUser !== undefined) return;
    this.#running = this.#run();
    await this.#running;
  }

  async #run(): Promise<void> {
    await this.#probe();
    this.#running = undefined;
    if (!this.#closing.signal.aborted) this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), this.#delayMs()).unref();
  }

  #delayMs(): number {
    const { intervalMs, random } = this.#options;
    if (this.#hasStalled) return Math.min(intervalMs, AFTER_STALL_MS);
    const jitteredMs = intervalMs * (1 + JITTER * (2 * random() - 1));
    if (this.breaker.state === "closed") return jitteredMs;
    // Rounded up, because a timer cuts fractions off and would come a moment too soon.
    return Math.min(Math.ceil(this.breaker.retryInMs), OPEN_INTERVALS * jitteredMs);
  }

  #tick(): void {
    if (this.backend.perUser !== undefined) {
      this.#options.onAlive(this.backend.name);
      this.#schedule();
      return;
    }
    const isWell = this.#hasBeenReached === true && this.#probeFailures === 0;
    const isLeftAlone = this.backend.startsProcess && isWell && this.breaker.state === "closed";
    if (isLeftAlone) this.#schedule();
    else this.#running = this.#run();
  }

  async #probe(): Promise<void> {
    const { signal } = this.#closing;
    this.#hasStalled = false;
    // Refused, it is a look ahead of time: whether the backend is back counts, that it is not is known.
    const isUse = this.breaker.tryAdmit();
    try {
      const { toolCount, latencyMs } = await this.#probeInTime(signal);
      this.#succeeded(toolCount, latencyMs, isUse);
    } catch (thrown) {
      const isStalled = this.#options.isStalled();
      if (isUse && (signal.aborted || isStalled)) this.breaker.withdrawn();
      if (signal.aborted) return;
      this.#hasStalled = isStalled;
      if (!isStalled) this.#failed(thrown, isUse);
    }
  }

  async #probeInTime(closing: AbortSignal): Promise<ProbeFinding> {
    closing.throwIfAborted();
    const { backend } = this;
    const timeoutMs =
      this.#hasBeenReached === true ? this.#options.timeoutMs : backend.startTimeoutMs;
    const attempt = new AbortController();
    const giveUp = (): void => attempt.abort(closing.reason);
    closing.addEventListener("abort", giveUp, { once: true });
    const timer = setTimeout(() => attempt.abort(timedOut(backend, timeoutMs)), timeoutMs);
    try {
      return await backend.probe(attempt.signal);
    } finally {
      clearTimeout(timer);
      closing.removeEventListener("abort", giveUp);
    }
  }

  #succeeded(toolCount: number, latencyMs: number | undefined, isUse: boolean): void {
    this.#hasBeenReached = true;
    this.#probeFailures = 0;
    this.#probeReason = undefined;
    this.#latencyMs = latencyMs;
    this.#known = { ...this.#known, toolCount };
    if (isUse) this.breaker.succeeded();
    else this.breaker.seenAlive();
    this.#update();
    this.#options.onAlive(this.backend.name);
  }

  #failed(thrown: unknown, isUse: boolean): void {
    const error = VmcpError.from(thrown);
    this.#hasBeenReached ??= false;
    this.#probeFailures += 1;
    this.#probeReason = sentenceOf(this.backend.name, error);
    if (isUse) this.breaker.failed(error);
    this.#update();
  }

  #update(): void {
    const { breaker, backend } = this;
    const { timeoutMs, unhealthyThreshold } = this.#options;
    const { lastFailure } = breaker;
    const judgement = judge({
      name: backend.name,
      hasBeenReached: this.#hasBeenReached,
      probeFailures: this.#probeFailures,
      probeReason: this.#probeReason,
      unhealthyThreshold,
      latencyMs: this.#latencyMs,
      slowMs: Math.max(SLOW_FLOOR_MS, timeoutMs * SLOW_SHARE),
      circuit: breaker.state,
      useFailures: breaker.failures,
      useReason: lastFailure && sentenceOf(backend.name, lastFailure),
    });
    this.#become({ ...judgement, toolCount: this.#known.toolCount });
  }

  #become(next: Known): void {
    const before = this.#known;
    this.#known = next;
    const isNewState = before.state !== next.state;
    if (isNewState) {
      this.#sinceMs = this.#options.now();
      this.#log(before.state, next);
    }
    if (!isNewState && this.#toldToolCount === next.toolCount) return;
    this.#toldToolCount = next.toolCount;
    this.#options.onChange(this.health());
  }

  #log(before: HealthState, { state, reason }: Known): void {
    const { logger } = this.#options;
    const backend = this.backend.name;
    if (reason !== undefined) logger.warn("backend is not healthy", { backend, state, reason });
    else if (before !== "unknown") logger.info("backend is healthy again", { backend, state });
  }
}

const MAX_REASON_LENGTH = 300;

/** What is no failure of the backend but of the gateway is told to nobody: it may name anything. */
function sentenceOf(backend: BackendName, { code, message }: VmcpError): string {
  if (code === "internal") return `Backend "${backend}" could not be probed`;
  return message.slice(0, MAX_REASON_LENGTH);
}

function timedOut({ name }: ProbedBackend, timeoutMs: number): VmcpError {
  return new VmcpError(
    "backend_timeout",
    `Backend "${name}" did not answer within ${timeoutMs} ms`,
    {
      backend: name,
      executionState: "not_executed",
    },
  );
}
