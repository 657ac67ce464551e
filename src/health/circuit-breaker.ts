import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import { verdictOn } from "./verdict.ts";

/** `open`: uses are refused; `half-open`: one use was let through to see, and its end is awaited. */
export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitBreakerOptions {
  readonly backend: BackendName;
  /** Failures in a row that open it. */
  readonly failureThreshold: number;
  /** How long it refuses before it lets one use through; up to a tenth more, so that gateways differ. */
  readonly openMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Whether this process stood still just now, so that a failure may be its own. */
  readonly isStalled: () => boolean;
  /** Told when the state changes, and when the first failure or a success after failures came. */
  readonly onChange: (breaker: CircuitBreaker, before: CircuitState) => void;
}

/** A part of the open time that is added at random. */
const JITTER = 0.1;

/** One failure of a backend that was well may be chance, which those who start must not be made to suffer for. */
const TOLERATED_FAILURES = 1;

/** Of the last failure's sentence, for the message of a refusal. */
const MAX_REASON_LENGTH = 120;

type Phase =
  | { readonly state: "closed" }
  /** `untilMs`: the next use is let through from then on, while half-open because the last one never ended. */
  | { readonly state: "open" | "half-open"; readonly untilMs: number };

const CLOSED: Phase = { state: "closed" };

/**
 * Refuses uses of one backend while they would only fail again.
 *
 * Each `admit` that returned is followed by one of `succeeded`, `failed` and `withdrawn`. Any success closes it,
 * whenever that use began. Half-open, one use is out at a time; if it never ends, another one is let through
 * after the open time.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #phase: Phase = CLOSED;
  #failures = 0;
  #lastFailure: VmcpError | undefined;
  #inFlight = 0;
  #wasSeenAlive = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  get backend(): BackendName {
    return this.#options.backend;
  }

  get state(): CircuitState {
    return this.#phase.state;
  }

  /** Whether nobody should wait for the backend: it refuses, or would if this went on. */
  get isDoubtful(): boolean {
    const tolerated = this.#wasSeenAlive ? TOLERATED_FAILURES : 0;
    return this.#phase.state !== "closed" || this.#failures > tolerated;
  }

  /** In a row, up to now. */
  get failures(): number {
    return this.#failures;
  }

  get lastFailure(): VmcpError | undefined {
    return this.#lastFailure;
  }

  /** Until the next use is let through; 0 if that is now. */
  get retryInMs(): number {
    if (this.#phase.state === "closed") return 0;
    return Math.max(0, this.#phase.untilMs - this.#options.now());
  }

  /** In whole seconds, as refusals tell it; undefined while nothing is refused. */
  get retryAfterSeconds(): number | undefined {
    return this.#phase.state === "closed" ? undefined : this.#retrySeconds();
  }

  /** Throws `backend_unreachable`, `not_executed`, with `retryAfterSeconds`, where the use is refused. */
  admit(): void {
    if (!this.tryAdmit()) throw this.#refusal();
  }

  /** As `admit`, but says false. */
  tryAdmit(): boolean {
    if (this.#phase.state !== "closed" && !this.#letOneThrough()) return false;
    this.#inFlight += 1;
    return true;
  }

  succeeded(): void {
    this.#leave();
    this.seenAlive();
  }

  failed(error: VmcpError): void {
    const verdict = this.#options.isStalled() ? "nothing" : verdictOn(error);
    if (verdict === "alive") this.succeeded();
    else if (verdict === "nothing") this.withdrawn();
    else this.#failed(error);
  }

  /** A use ended without saying anything of the backend: half-open, the next one may go in its place. */
  withdrawn(): void {
    this.#leave();
    const isNobodyOut = this.#inFlight === 0;
    if (this.#phase.state === "half-open" && isNobodyOut) {
      this.#phase = { state: "half-open", untilMs: this.#options.now() };
    }
  }

  /** The backend answered someone who had not asked here. */
  seenAlive(): void {
    this.#wasSeenAlive = true;
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#lastFailure = undefined;
    this.#become(CLOSED);
  }

  #failed(error: VmcpError): void {
    this.#leave();
    this.#failures += 1;
    this.#lastFailure = error;
    const { state } = this.#phase;
    // What was under way when it opened says nothing new, and must not put off the next look.
    if (state === "open") return;
    const hasHadEnough = state === "half-open" || this.#failures >= this.#options.failureThreshold;
    if (hasHadEnough) this.#open();
    else if (this.#failures === 1) this.#options.onChange(this, state);
  }

  #open(): void {
    const { openMs, now, random } = this.#options;
    this.#become({ state: "open", untilMs: now() + openMs * (1 + JITTER * random()) });
  }

  #letOneThrough(): boolean {
    if (this.retryInMs > 0) return false;
    const { openMs, now } = this.#options;
    this.#become({ state: "half-open", untilMs: now() + openMs });
    return true;
  }

  #become(phase: Phase): void {
    const before = this.#phase.state;
    this.#phase = phase;
    this.#options.onChange(this, before);
  }

  #leave(): void {
    if (this.#inFlight > 0) this.#inFlight -= 1;
  }

  /** The use that was let through may end at any moment. */
  #retrySeconds(): number {
    return this.#phase.state === "half-open" ? 1 : Math.max(1, Math.ceil(this.retryInMs / 1_000));
  }

  #refusal(): VmcpError {
    const { backend } = this.#options;
    const lead = `Backend "${backend}" `;
    const text = this.#lastFailure?.message ?? "";
    const reason = text.startsWith(lead) ? text.slice(lead.length) : text;
    const retryAfterSeconds = this.#retrySeconds();
    return new VmcpError(
      "backend_unreachable",
      `${lead}failed ${this.#failures} times in a row (last: ${reason.slice(0, MAX_REASON_LENGTH)}); ` +
        `it is tried again in ${retryAfterSeconds} s`,
      { cause: this.#lastFailure, backend, executionState: "not_executed", retryAfterSeconds },
    );
  }
}
