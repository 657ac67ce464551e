import type { OperationalConfig } from "../config/vmcp-config.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { BackendHealth } from "../health/backend-health.ts";
import { HealthMonitor } from "../health/monitor.ts";

export interface HealthListeners {
  readonly onChange: (health: BackendHealth) => void;
  readonly onAlive: (backend: BackendName) => void;
}

/** A monitor that watches nothing yet. */
export function createMonitor(
  { failureHandling }: OperationalConfig,
  logger: Logger,
  listeners: HealthListeners,
): HealthMonitor {
  const { enabled, failureThreshold, timeoutMs } = failureHandling.circuitBreaker;
  return new HealthMonitor({
    intervalMs: failureHandling.healthCheckIntervalMs,
    timeoutMs: failureHandling.healthCheckTimeoutMs,
    unhealthyThreshold: failureHandling.unhealthyThreshold,
    circuitBreaker: { isEnabled: enabled, failureThreshold, openMs: timeoutMs },
    now: () => performance.now(),
    logger,
    ...listeners,
  });
}
