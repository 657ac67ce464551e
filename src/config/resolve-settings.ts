import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Environment } from "./references.ts";
import { lookUp } from "./references.ts";
import type { AggregationInput, WorkloadInput } from "./schema/aggregation.ts";
import type { LimitsInput } from "./schema/limits.ts";
import type { OperationalInput } from "./schema/operational.ts";
import type {
  AggregationConfig,
  LimitsConfig,
  OperationalConfig,
  WorkloadConfig,
} from "./vmcp-config.ts";

/** Read where the file does not say how many sessions there may be. */
export const MAX_SESSIONS_VARIABLE = "TOOLHIVE_MAX_SESSIONS";
const DEFAULT_MAX_SESSIONS = 1000;

/** Expects input in which no check found a problem; what is about backends that are not served is left out. */
export function resolveAggregation(
  input: AggregationInput,
  names: ReadonlySet<string>,
): AggregationConfig {
  const { prefixFormat, priorityOrder } = input.conflictResolutionConfig;
  return {
    strategy: input.conflictResolution,
    prefixFormat,
    priorityOrder: priorityOrder.filter((name) => names.has(name)).map(parseBackendName),
    maxNameLength: input.maxNameLength,
    excludeAllTools: input.excludeAllTools,
    defaultToolVisibility: input.defaultToolVisibility,
    tools: resolveWorkloads(input.tools, names),
    resources: resolveWorkloads(input.resources, names),
    prompts: resolveWorkloads(input.prompts, names),
  };
}

export function resolveOperational(
  input: OperationalInput,
  env: Environment,
  isSessionScopedByDefault: boolean,
): OperationalConfig {
  const { failureHandling, sessions } = input;
  return {
    sessionManagementV2: input.sessionManagementV2 ?? isSessionScopedByDefault,
    sessionManagementV2Named: input.sessionManagementV2 !== undefined,
    logLevel: input.logLevel,
    failureHandling: {
      healthCheckIntervalMs: failureHandling.healthCheckInterval,
      unhealthyThreshold: failureHandling.unhealthyThreshold,
      healthCheckTimeoutMs: failureHandling.healthCheckTimeout,
      partialFailureMode: failureHandling.partialFailureMode,
      circuitBreaker: {
        enabled: failureHandling.circuitBreaker.enabled,
        failureThreshold: failureHandling.circuitBreaker.failureThreshold,
        timeoutMs: failureHandling.circuitBreaker.timeout,
      },
    },
    sessions: {
      idleTtlMs: sessions.idleTtl,
      unusedTtlMs: sessions.unusedTtl,
      absoluteTtlMs: sessions.absoluteTtl,
      maxSessions: sessions.maxSessions ?? maxSessionsOf(env) ?? DEFAULT_MAX_SESSIONS,
      maxSessionsPerIdentity: sessions.maxSessionsPerIdentity,
      evictIdleAfterMs: sessions.evictIdleAfter,
      startDeadlineMs: sessions.startDeadline,
      drainDeadlineMs: sessions.drainDeadline,
      shutdownGraceMs: sessions.shutdownGrace,
      maxBackendStartConcurrency: sessions.maxBackendStartConcurrency,
      maxGlobalBackendStartConcurrency: sessions.maxGlobalBackendStartConcurrency,
    },
  };
}

export function resolveLimits(input: LimitsInput): LimitsConfig {
  const { headersTimeout, bodyTimeout, idleTimeout, keepAliveTimeout, ...same } = input;
  const { callsPerBackend: _perBackend, maxConnections, ...rest } = same;
  return {
    ...rest,
    maxConnections,
    headersTimeoutMs: headersTimeout,
    bodyTimeoutMs: bodyTimeout,
    idleTimeoutMs: idleTimeout,
    keepAliveTimeoutMs: keepAliveTimeout,
  };
}

/** Undefined where the variable is not set, `NaN` where it is no whole number above 0. */
export function maxSessionsOf(env: Environment): number | undefined {
  const text = lookUp(env, MAX_SESSIONS_VARIABLE);
  if (text === undefined) return undefined;
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : Number.NaN;
}

function resolveWorkloads(
  inputs: readonly WorkloadInput[],
  names: ReadonlySet<string>,
): readonly WorkloadConfig[] {
  return inputs.filter(({ workload }) => names.has(workload)).map(resolveWorkload);
}

function resolveWorkload(input: WorkloadInput): WorkloadConfig {
  const overrides = Object.entries(input.overrides).map(([name, { annotations, ...texts }]) => [
    name,
    { ...texts, ...(annotations === undefined ? {} : { annotations: onlyPresent(annotations) }) },
  ]);
  return {
    workload: parseBackendName(input.workload),
    filter: input.filter,
    overrides: Object.fromEntries(overrides),
    excludeAll: input.excludeAll,
  };
}

function onlyPresent(values: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const present: [string, JsonValue][] = [];
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) present.push([key, value]);
  }
  return Object.fromEntries(present);
}
