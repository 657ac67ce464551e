import type { BackendName } from "../domain/ids.ts";
import type { CircuitState } from "./circuit-breaker.ts";

/**
 * `unknown` until the first probe has ended. `degraded`: it failed less often in a row than the threshold, or
 * answers slowly; what it offers is used all the same. `unhealthy`: it was never reached, failed as often as the
 * threshold, or its circuit is open.
 */
export type HealthState = "unknown" | "healthy" | "degraded" | "unhealthy";

export interface BackendHealth {
  readonly name: BackendName;
  readonly state: HealthState;
  /** For how long it has been in that state, in whole seconds. */
  readonly sinceSeconds: number;
  /** As last listed; undefined if the backend was never reached. */
  readonly toolCount: number | undefined;
  /** Why it is not healthy: a sentence that names the backend and nothing secret. */
  readonly reason: string | undefined;
  /** How long the last probe that was answered waited for it; undefined where probes are not timed. */
  readonly latencyMs: number | undefined;
  readonly circuit: CircuitState;
  /** When its circuit lets the next use through; undefined while it is closed. */
  readonly retryAfterSeconds: number | undefined;
}

/** All that is known of one backend. */
export interface Evidence {
  readonly name: BackendName;
  /** Undefined before the first probe has ended. */
  readonly hasBeenReached: boolean | undefined;
  /** Probes in a row. */
  readonly probeFailures: number;
  readonly probeReason: string | undefined;
  readonly unhealthyThreshold: number;
  readonly latencyMs: number | undefined;
  /** A backend that takes longer to answer a probe is slow. */
  readonly slowMs: number;
  readonly circuit: CircuitState;
  /** Uses in a row, probes included. */
  readonly useFailures: number;
  readonly useReason: string | undefined;
}

export interface Judgement {
  readonly state: HealthState;
  readonly reason: string | undefined;
}

/** What the evidence comes to. The worst that is true counts. */
export function judge(evidence: Evidence): Judgement {
  const { name, hasBeenReached, probeFailures, probeReason, latencyMs } = evidence;
  const { circuit, useFailures, useReason } = evidence;
  if (circuit !== "closed") return { state: "unhealthy", reason: useReason ?? probeReason };
  if (hasBeenReached === undefined) return { state: "unknown", reason: undefined };
  if (probeFailures > 0) {
    const isTolerated = hasBeenReached && probeFailures < evidence.unhealthyThreshold;
    return { state: isTolerated ? "degraded" : "unhealthy", reason: probeReason };
  }
  if (useFailures > 0) return { state: "degraded", reason: useReason };
  if (latencyMs !== undefined && latencyMs > evidence.slowMs) {
    return { state: "degraded", reason: `Backend "${name}" answers slowly (${latencyMs} ms)` };
  }
  return { state: "healthy", reason: undefined };
}
