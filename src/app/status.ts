import type { JsonObject } from "../domain/json.ts";
import type { BackendHealth } from "../health/backend-health.ts";

/** One backend on the status page: nothing of where it is or what it is given. */
export function toBackendStatus(health: BackendHealth, transport: string): JsonObject {
  const { name, state, sinceSeconds, toolCount, reason, latencyMs } = health;
  const { circuit, retryAfterSeconds } = health;
  return {
    name,
    transport,
    state,
    sinceSeconds,
    ...(toolCount !== undefined && { tools: toolCount }),
    ...(reason !== undefined && { reason }),
    ...(latencyMs !== undefined && { latencyMs }),
    circuit: { state: circuit, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
  };
}
