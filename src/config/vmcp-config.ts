import type { AuditEventType } from "../domain/audit-event-types.ts";
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
  readonly audit: AuditConfig;
  /** The same without secrets, and without what a command line said in place of the file. */
  readonly comparable: ComparableConfig;
}

/** What two configurations are compared by: each field and setting by its name in the file. */
export interface ComparableConfig {
  readonly backends: ReadonlyMap<string, ReadonlyMap<string, unknown>>;
  readonly settings: ReadonlyMap<string, unknown>;
}

export interface BackendTimeouts {
  readonly connectMs: number;
  readonly startMs: number;
  readonly callMs: number;
  /** For calls of single tools, by the backend's own names. */
  readonly toolsMs: Readonly<Record<string, number>>;
  readonly callMaxMs: number;
  readonly clientAnswerMs: number;
  /** Undefined: connections without calls are left alone. */
  readonly keepaliveMs: number | undefined;
  /** Undefined: connections without calls are kept. */
  readonly idleMs: number | undefined;
}

/** How often the process of a stdio backend may end, in each session, and be started again. */
export interface RestartConfig {
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly budget: number;
  readonly windowMs: number;
}

interface BackendBase {
  readonly name: BackendName;
  /** `session`: one backend session per client session; `request`: one per call. */
  readonly isolation: "session" | "request";
  /** A revision by date, or `auto` for the newest one. */
  readonly revision: string;
  readonly timeouts: BackendTimeouts;
  readonly maxConcurrentCalls: number;
  readonly trustAnnotations: boolean;
  /** Calls whose arguments do not fit the tool's schema are answered without the backend. */
  readonly validateArguments: boolean;
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
  readonly restart: RestartConfig;
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
    readonly circuitBreaker: {
      readonly enabled: boolean;
      /** Failures in a row. */
      readonly failureThreshold: number;
      /** How long a circuit stays open before one use is let through. */
      readonly timeoutMs: number;
    };
  };
  readonly sessions: {
    readonly idleTtlMs: number;
    readonly unusedTtlMs: number;
    readonly absoluteTtlMs: number;
    readonly maxSessions: number;
    /** Of one identified client; anonymous ones are not told apart. */
    readonly maxSessionsPerIdentity: number;
    readonly evictIdleAfterMs: number;
    readonly startDeadlineMs: number;
    readonly drainDeadlineMs: number;
    readonly shutdownGraceMs: number;
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
  /** Processes that share the sessions, where the command serves; `auto`: one per core. */
  readonly workers: number | "auto";
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
  readonly subSchemas: number;
  readonly schemaDepth: number;
}

export interface AuditConfig {
  readonly enabled: boolean;
  readonly component: string;
  /** Empty: all. */
  readonly eventTypes: readonly AuditEventType[];
  readonly excludeEventTypes: readonly AuditEventType[];
  readonly includeRequestData: boolean;
  readonly includeResponseData: boolean;
  readonly detectApplicationErrors: boolean;
  /** In bytes. */
  readonly maxDataSize: number;
  /** Absolute; undefined: a standard stream. */
  readonly logFile: string | undefined;
  readonly onFailure: "deny" | "allow";
}
