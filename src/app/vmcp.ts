import type { Readable, Writable } from "node:stream";
import { aggregate } from "../aggregation/aggregate.ts";
import { HttpPools } from "../backend/streamable-http/http-pools.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER, type Logger } from "../domain/logger.ts";
import type { ServerInfo } from "../gateway/initialize.ts";
import { chooseSessionFactory } from "../gateway/session-source.ts";
import { HealthMonitor, type BackendHealth } from "../health/monitor.ts";
import { LATEST_SESSIONFUL } from "../mcp/revisions.ts";
import { HttpHost } from "../server/http-host.ts";
import { StdioHost } from "../server/stdio-host.ts";
import { Catalogues } from "../session/catalogues.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { LiveSessionFactory } from "../session/multi-session-factory.ts";
import type { MultiSessionFactory } from "../session/session.ts";
import { SessionManager } from "../session/session-manager.ts";
import { MemoryStorage } from "../session/stores/memory-storage.ts";
import { assembleBackend, type AssembledBackend } from "./backends.ts";
import { defaultMaxConnections } from "./max-connections.ts";
import { toOverview, type Overview } from "./overview.ts";
import { packageVersion } from "./version.ts";

export interface VmcpOptions {
  /** Where to log. Default: nowhere, because a library does not write to its host's output unasked. */
  readonly logger?: Logger;
  /** Called when what is known of a backend's health changes, the first probe included. */
  readonly onBackendHealth?: (health: BackendHealth) => void;
  /** Makes sessions in place of the gateway's own factory; used where `sessionManagementV2` is on. */
  readonly sessionFactory?: MultiSessionFactory<EdgeSession>;
}

/**
 * A whole gateway in this process: one MCP endpoint in front of the configured backends.
 *
 * Whoever makes it closes it. Closing refuses new sessions, lets calls in flight finish up to
 * `operational.sessions.drainDeadline`, ends every backend session and child process, and releases the port.
 */
export class Vmcp implements AsyncDisposable {
  /** Every session of this gateway; embedders may open sessions here without HTTP. */
  readonly sessions: SessionManager<EdgeSession>;
  readonly serverInfo: ServerInfo;
  readonly #config: VmcpConfig;
  readonly #logger: Logger;
  readonly #host: HttpHost;
  readonly #monitor: HealthMonitor;
  readonly #pools: HttpPools;
  readonly #catalogues: Catalogues;
  #phase: "idle" | "starting" | "ready" | "draining" = "idle";
  #stdioHost: StdioHost | undefined;
  #startTimer: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    config: VmcpConfig,
    backends: readonly AssembledBackend[],
    pools: HttpPools,
    catalogues: Catalogues,
    options: VmcpOptions,
  ) {
    const logger = options.logger ?? SILENT_LOGGER;
    this.#config = config;
    this.#logger = logger;
    this.#pools = pools;
    this.#catalogues = catalogues;
    this.serverInfo = { name: config.name, version: packageVersion() };
    this.sessions = createSessions(config, backends, catalogues, logger, options.sessionFactory);
    this.#monitor = createMonitor(config, backends, logger, {
      onChange: (health) => options.onBackendHealth?.(health),
      onAlive: (backend) => {
        for (const session of this.sessions.liveSessions()) session.retry(backend);
      },
    });
    this.#host = this.#createHost(logger);
  }

  /** Builds every part and opens nothing yet. Rejects with `invalid_config`. */
  static async create(config: VmcpConfig, options: VmcpOptions = {}): Promise<Vmcp> {
    const catalogues = new Catalogues(monotonicMs);
    const http = new HttpPools({ calls: socketsPerOrigin(config) });
    const parts = {
      limits: config.limits,
      http,
      logger: options.logger ?? SILENT_LOGGER,
      catalogues,
      version: packageVersion(),
    };
    const backends = await Promise.all(
      config.backends.map(async (backend) => assembleBackend(backend, parts)),
    );
    return new Vmcp(config, backends, http, catalogues, options);
  }

  /** Listens, and starts to probe the backends. Resolves with the endpoint's URL; rejects with `address_in_use`. */
  async listen(): Promise<string> {
    if (this.#phase !== "idle") {
      throw new VmcpError("invalid_argument", "This gateway was started or closed already");
    }
    const url = await this.#host.listen();
    this.#phase = "starting";
    void this.#startProbing();
    return url;
  }

  /**
   * Serves one client over a pair of streams in place of HTTP: one message per line, one session. Starts to probe
   * the backends and resolves when the input or the session has ended and everything is answered; the input is
   * destroyed then. `close` is still the caller's to call, and ends this too.
   */
  async serveStdio(input: Readable, output: Writable): Promise<void> {
    if (this.#phase !== "idle") {
      throw new VmcpError("invalid_argument", "This gateway was started or closed already");
    }
    this.#stdioHost = this.#createStdioHost(input, output);
    this.#phase = "starting";
    void this.#startProbing();
    await this.#stdioHost.serve();
  }

  /** Resolves when every backend has been probed once, whether it answered or failed. */
  async probed(): Promise<readonly BackendHealth[]> {
    await this.#startProbing();
    return this.#monitor.health();
  }

  health(): readonly BackendHealth[] {
    return this.#monitor.health();
  }

  /**
   * Opens a session for code in this process, without HTTP; it declares no capability of a client. Whoever opens
   * it ends it with `sessions.terminate(session.id)`, and `close` ends it too. Rejects as `sessions` does.
   */
  async openSession(identity: Identity = ANONYMOUS): Promise<EdgeSession> {
    const client = { revision: LATEST_SESSIONFUL, capabilities: {}, info: { ...this.serverInfo } };
    return this.sessions.createSession(await this.sessions.generate(), { identity, client });
  }

  /** What clients see of the backends as far as they have ever answered, and what became of the rest. */
  overview(): Overview {
    const sources = this.#config.backends.flatMap(({ name }) => {
      const capabilities = this.#catalogues.lastKnown(name, ANY_CLIENT);
      return capabilities === undefined ? [] : [{ backend: name, capabilities }];
    });
    return toOverview(aggregate(sources, this.#config.aggregation));
  }

  /** Stops readiness, drains and closes everything. Safe to repeat. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #startProbing(): Promise<void> {
    this.#probing ??= this.#probeAll();
    return this.#probing;
  }

  async #probeAll(): Promise<void> {
    // A backend that hangs must not keep the gateway from being ready for the others.
    const { startDeadlineMs } = this.#config.operational.sessions;
    this.#startTimer = setTimeout(() => this.#markReady(), startDeadlineMs);
    await this.#monitor.start();
    this.#markReady();
  }

  #markReady(): void {
    clearTimeout(this.#startTimer);
    if (this.#phase === "starting") this.#phase = "ready";
  }

  async #close(): Promise<void> {
    this.#phase = "draining";
    clearTimeout(this.#startTimer);
    this.#host.stopAccepting();
    await Promise.all([
      this.#stdioHost?.[Symbol.asyncDispose](),
      this.sessions.close(),
      this.#monitor[Symbol.asyncDispose](),
    ]);
    await this.#host[Symbol.asyncDispose]();
    await this.#pools[Symbol.asyncDispose]();
  }

  #createHost(logger: Logger): HttpHost {
    const { server, limits } = this.#config;
    return new HttpHost({
      ...server,
      limits: {
        requestBytes: limits.requestBytes,
        headerBytes: limits.headerBytes,
        headersTimeoutMs: limits.headersTimeoutMs,
        requestTimeoutMs: limits.headersTimeoutMs + limits.bodyTimeoutMs,
        keepAliveTimeoutMs: limits.keepAliveTimeoutMs,
        idleTimeoutMs: limits.idleTimeoutMs,
        maxConnections: limits.maxConnections ?? defaultMaxConnections(),
        streamBufferBytes: limits.streamBufferBytes,
      },
      messageLimits: { jsonDepth: limits.jsonDepth, idLength: limits.idLength },
      sessions: this.sessions,
      serverInfo: this.serverInfo,
      status: () => this.#status(),
      isReady: () => this.#phase === "ready",
      logger,
    });
  }

  #createStdioHost(input: Readable, output: Writable): StdioHost {
    const { limits } = this.#config;
    return new StdioHost(input, output, {
      sessions: this.sessions,
      identity: ANONYMOUS,
      serverInfo: this.serverInfo,
      logger: this.#logger,
      maxLineBytes: limits.requestBytes,
      messageLimits: { jsonDepth: limits.jsonDepth, idLength: limits.idLength },
      outputBufferBytes: limits.streamBufferBytes,
    });
  }

  #status(): JsonObject {
    const transports = new Map(
      this.#config.backends.map(({ name, transport }) => [name, transport]),
    );
    return {
      name: this.serverInfo.name,
      version: this.serverInfo.version,
      ...(this.#config.groupRef !== undefined && { group: this.#config.groupRef }),
      phase: this.#phase,
      sessionManagementV2: this.#config.operational.sessionManagementV2,
      sessions: this.sessions.sessionCount,
      backends: this.#monitor.health().map(({ name, state, toolCount, reason }) => ({
        name,
        transport: transports.get(name) ?? "unknown",
        state,
        ...(toolCount !== undefined && { tools: toolCount }),
        ...(reason !== undefined && { reason }),
      })),
    };
  }
}

/** Where only few calls may be in flight, lists and pings must still find a way past them. */
const MIN_SOCKETS_PER_ORIGIN = 256;

/** Calls that the limits let through must not wait for each other's sockets, nor must sessions that start. */
function socketsPerOrigin({ limits, operational }: VmcpConfig): number {
  const starts = operational.sessions.maxGlobalBackendStartConcurrency;
  return Math.max(MIN_SOCKETS_PER_ORIGIN, limits.callsPerProcess + starts);
}

/** A kind of client that no list is filed under, so that the newest one of any kind is found. */
const ANY_CLIENT = "";

/** Milliseconds since the epoch that no clock change moves: lifetimes must not end because someone set the time. */
function monotonicMs(): number {
  return performance.timeOrigin + performance.now();
}

function createSessions(
  config: VmcpConfig,
  backends: readonly AssembledBackend[],
  catalogues: Catalogues,
  logger: Logger,
  sessionFactory: MultiSessionFactory<EdgeSession> | undefined,
): SessionManager<EdgeSession> {
  const { operational } = config;
  const own = createFactory(config, catalogues, logger);
  const isSessionScoped = operational.sessionManagementV2;
  return new SessionManager<EdgeSession>({
    storage: new MemoryStorage(),
    factory: chooseSessionFactory<MultiSessionFactory<EdgeSession>>({
      sessionManagementV2: isSessionScoped,
      sessionFactory: sessionFactory ?? own,
      discovery: own,
    }),
    backends: () => backends.map(({ session }) => session),
    clock: monotonicMs,
    logger,
    idleTtlMs: operational.sessions.idleTtlMs,
    absoluteTtlMs: operational.sessions.absoluteTtlMs,
    maxSessions: operational.sessions.maxSessions,
    drainDeadlineMs: operational.sessions.drainDeadlineMs,
  });
}

function createFactory(
  { operational, aggregation, limits, backends }: VmcpConfig,
  catalogues: Catalogues,
  logger: Logger,
): LiveSessionFactory {
  const { sessions, failureHandling } = operational;
  const slots = new Map(backends.map(({ name, maxConcurrentCalls }) => [name, maxConcurrentCalls]));
  return new LiveSessionFactory({
    catalogues,
    aggregation,
    now: monotonicMs,
    logger,
    maxStartConcurrency: sessions.maxBackendStartConcurrency,
    maxGlobalStartConcurrency: sessions.maxGlobalBackendStartConcurrency,
    startTimeoutMs: Math.max(...backends.map(({ timeouts }) => timeouts.startMs)),
    startDeadlineMs: sessions.startDeadlineMs,
    drainDeadlineMs: sessions.drainDeadlineMs,
    clientAnswerTimeoutMs: Math.max(...backends.map(({ timeouts }) => timeouts.clientAnswerMs)),
    maxCallsInFlight: limits.callsPerSession,
    callLimits: {
      callsPerProcess: limits.callsPerProcess,
      callsPerBackend: (name) => slots.get(name) ?? Number.POSITIVE_INFINITY,
    },
    partialFailure: failureHandling.partialFailureMode,
  });
}

function createMonitor(
  { operational: { failureHandling } }: VmcpConfig,
  backends: readonly AssembledBackend[],
  logger: Logger,
  listeners: {
    readonly onChange: (health: BackendHealth) => void;
    readonly onAlive: (backend: BackendHealth["name"]) => void;
  },
): HealthMonitor {
  return new HealthMonitor({
    backends: backends.map(({ probed }) => probed),
    intervalMs: failureHandling.healthCheckIntervalMs,
    timeoutMs: failureHandling.healthCheckTimeoutMs,
    unhealthyThreshold: failureHandling.unhealthyThreshold,
    logger,
    ...listeners,
  });
}
