import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";

/**
 * A checked configuration: every default filled in, every reference resolved, every duration in
 * milliseconds and every size in bytes. It holds secrets (headers, environments), so it is never logged.
 */
export interface VmcpConfig {
  /** Reported to clients as the name of the server. */
  readonly name: string;
  /** A label for the status; nothing is looked up by it. */
  readonly groupRef: string | undefined;
  /** In the order of the file, names unique, at least one. */
  readonly backends: readonly BackendConfig[];
  readonly aggregation: AggregationConfig;
  readonly operational: OperationalConfig;
  readonly server: ServerConfig;
  readonly limits: LimitsConfig;
}

export interface BackendTimeouts {
  readonly connectMs: number;
  readonly startMs: number;
  readonly callMs: number;
  readonly callMaxMs: number;
  readonly clientAnswerMs: number;
}

interface BackendBase {
  readonly name: BackendName;
  /** `session`: one backend session per client session; `request`: one per call. */
  readonly isolation: "session" | "request";
  /** A revision by date, or `auto` for the newest one. */
  readonly revision: string;
  readonly timeouts: BackendTimeouts;
  readonly maxConcurrentCalls: number;
}

interface HttpBackendConfig extends BackendBase {
  /** `auto`: one of the other two, found out by trying. */
  readonly transport: "streamable-http" | "sse" | "auto";
  readonly url: string;
  /** Static headers and those of outgoing authentication in one. */
  readonly headers: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly caBundlePath: string | undefined;
}

interface StdioBackendConfig extends BackendBase {
  readonly transport: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** What the child gets besides the few harmless variables of the gateway's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly cwd: string | undefined;
}

export type BackendConfig = HttpBackendConfig | StdioBackendConfig;

interface OverrideConfig {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly annotations?: JsonObject | undefined;
}

export interface WorkloadConfig {
  readonly workload: BackendName;
  readonly filter?: readonly string[] | undefined;
  readonly overrides: Readonly<Record<string, OverrideConfig>>;
  readonly excludeAll: boolean;
}

export interface AggregationConfig {
  readonly strategy: "prefix" | "prefixOnConflict" | "priority" | "manual";
  readonly prefixFormat: string;
  readonly priorityOrder: readonly BackendName[];
  readonly maxNameLength: number;
  readonly excludeAllTools: boolean;
  readonly defaultToolVisibility: "allow" | "deny";
  readonly tools: readonly WorkloadConfig[];
  readonly resources: readonly WorkloadConfig[];
  readonly prompts: readonly WorkloadConfig[];
}

export interface OperationalConfig {
  readonly sessionManagementV2: boolean;
  /** Whether the file itself said so, as opposed to a default. */
  readonly sessionManagementV2Named: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly failureHandling: {
    readonly healthCheckIntervalMs: number;
    readonly unhealthyThreshold: number;
    readonly healthCheckTimeoutMs: number;
    readonly partialFailureMode: "fail" | "best_effort";
  };
  readonly sessions: {
    readonly idleTtlMs: number;
    readonly absoluteTtlMs: number;
    readonly maxSessions: number;
    readonly startDeadlineMs: number;
    readonly drainDeadlineMs: number;
    readonly maxBackendStartConcurrency: number;
    readonly maxGlobalBackendStartConcurrency: number;
  };
}

interface ServerConfig {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly path: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Clients that only know HTTP+SSE are served besides. */
  readonly legacySse: boolean;
}

export interface LimitsConfig {
  readonly requestBytes: number;
  readonly headerBytes: number;
  readonly jsonDepth: number;
  readonly idLength: number;
  readonly nameLength: number;
  readonly backendResponseBytes: number;
  readonly sseEventBytes: number;
  readonly stdioLineBytes: number;
  readonly streamBufferBytes: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Undefined: as many as the number of files that the process may open allows. */
  readonly maxConnections: number | undefined;
  readonly callsPerProcess: number;
  readonly callsPerSession: number;
  readonly toolsPerBackend: number;
  readonly descriptionBytes: number;
  readonly schemaBytes: number;
}
