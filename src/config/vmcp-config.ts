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
  readonly incomingAuth: IncomingAuthConfig;
  /** `incomingAuth.authz` of the file. Undefined: everyone may do everything. */
  readonly authz: AuthzConfig | undefined;
  readonly rateLimiting: RateLimitingConfig;
  readonly pinning: PinningMode;
  /** Absolute. Read where anything is pinned. */
  readonly lockFile: string;
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

/** What is done about what is not as it was locked: nothing, tell the operator, or keep it from clients too. */
type PinningMode = "off" | "warn" | "quarantine";

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
  /** Undefined: as for all. */
  readonly pinning: PinningMode | undefined;
}

interface HttpBackendConfig extends BackendBase {
  /** `auto`: one of the other two, found out by trying. */
  readonly transport: "streamable-http" | "sse" | "auto";
  readonly url: string;
  /** Static headers, and the one of outgoing authentication where that is fixed. */
  readonly headers: Readonly<Record<string, string>>;
  /** What outgoing authentication takes besides; undefined where nothing is asked for. */
  readonly outgoingAuth: OutgoingAuthConfig | undefined;
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

export type SubjectTokenType = "access_token" | "id_token" | "jwt";

export interface OAuthClientConfig {
  readonly id: string;
  readonly secret: string | undefined;
}

interface SubjectConfig {
  readonly subjectTokenType: SubjectTokenType;
  readonly subjectProviderName: string | undefined;
}

interface TokenConfig {
  readonly tokenUrl: string;
  readonly client: OAuthClientConfig | undefined;
  readonly audience: string | undefined;
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
}

/** How the gateway proves itself to a backend, where that takes more than a fixed header. */
export type OutgoingAuthConfig =
  | ({ readonly type: "token_exchange" } & TokenConfig & SubjectConfig)
  | ({ readonly type: "client_credentials" } & TokenConfig)
  | ({
      readonly type: "xaa";
      readonly idpTokenUrl: string;
      readonly idpClient: OAuthClientConfig | undefined;
      readonly targetTokenUrl: string;
      readonly targetClient: OAuthClientConfig | undefined;
      readonly targetAudience: string;
      readonly targetResource: string | undefined;
      readonly scopes: readonly string[];
    } & SubjectConfig)
  | {
      readonly type: "aws_sts";
      readonly region: string;
      readonly service: string;
      readonly stsUrl: string;
      readonly fallbackRoleArn: string | undefined;
      /** In the order in which they are tried. */
      readonly roleMappings: readonly { readonly claim: string; readonly roleArn: string }[];
      readonly roleClaim: string;
      readonly sessionDurationSeconds: number;
      readonly sessionNameClaim: string;
      readonly subjectProviderName: string | undefined;
    }
  | { readonly type: "upstream_inject"; readonly providerName: string }
  | {
      readonly type: "oauth";
      readonly client: OAuthClientConfig | undefined;
      readonly scopes: readonly string[];
      readonly authorizationServer: string | undefined;
      readonly redirectUri: string | undefined;
      /** What the backend leads to may be in a private network. */
      readonly mayLeadInside: boolean;
    };

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
  /** Secrets for what stateless clients hold between two rounds; the first one seals. Empty: made at each start. */
  readonly stateKeys: readonly string[];
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
  /** Of one address. */
  readonly failedRequestsPerMinute: number;
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

/** A key that clients may present; its text is not kept. */
interface ApiKeyConfig {
  readonly id: string;
  /** 64 hexadecimal digits in lower case. */
  readonly sha256: string;
  readonly subject: string;
  readonly scopes: readonly string[];
}

export interface OidcConfig {
  readonly issuer: string;
  readonly audience: string;
  /** A URL; undefined: the address listened on. */
  readonly resource: string | undefined;
  readonly jwksUrl: string | undefined;
  /** Undefined: opaque tokens are refused. */
  readonly client: { readonly id: string; readonly secret: string } | undefined;
  readonly introspectionUrl: string | undefined;
  /** Absolute. */
  readonly caBundlePath: string | undefined;
  readonly scopes: readonly string[];
  readonly allowPrivateAddresses: boolean;
  readonly allowHttp: boolean;
}

/** How clients prove who they are. */
export type IncomingAuthConfig = {
  readonly isClientBound: boolean;
  /** By advertised name. */
  readonly toolScopes: Readonly<Record<string, readonly string[]>>;
} & (
  | { readonly type: "anonymous" }
  | { readonly type: "local" }
  | { readonly type: "apiKey"; readonly keys: readonly ApiKeyConfig[] }
  | { readonly type: "oidc"; readonly oidc: OidcConfig }
);

/** Who may do what, by Cedar policies. */
export interface AuthzConfig {
  /** At least one. */
  readonly policies: readonly string[];
  readonly entitiesJson: string | undefined;
  readonly groupClaimName: string | undefined;
  readonly roleClaimName: string | undefined;
  readonly groupEntityType: string;
}

/** So many calls at once, and as many again in the course of each period. */
export interface TokenBucketConfig {
  readonly maxTokens: number;
  readonly refillPeriodMs: number;
}

export interface RateLimitingConfig {
  readonly shared: TokenBucketConfig | undefined;
  readonly perUser: TokenBucketConfig | undefined;
  /** By advertised name, each once. */
  readonly tools: readonly {
    readonly name: string;
    readonly shared: TokenBucketConfig | undefined;
    readonly perUser: TokenBucketConfig | undefined;
  }[];
}
