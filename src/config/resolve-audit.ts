import { resolve } from "node:path";
import type { AuditInput } from "./schema/audit.ts";
import type { AuditConfig } from "./vmcp-config.ts";

/** `name` is that of the gateway. */
export function resolveAudit(input: AuditInput, name: string, baseDir: string): AuditConfig {
  return {
    enabled: input.enabled,
    component: input.component ?? name,
    eventTypes: input.eventTypes,
    excludeEventTypes: input.excludeEventTypes,
    includeRequestData: input.includeRequestData,
    includeResponseData: input.includeResponseData,
    detectApplicationErrors: input.detectApplicationErrors,
    maxDataSize: input.maxDataSize,
    logFile: input.logFile === undefined ? undefined : resolve(baseDir, input.logFile),
    onFailure: input.onFailure,
  };
}
