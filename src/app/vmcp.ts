import { randomBytes } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { aggregate, type Aggregate, type BackendCapabilities } from "../aggregation/aggregate.ts";
import { HttpPools } from "../backend/streamable-http/http-pools.ts";
import { digestsOf } from "../config/comparable.ts";
import { resolveConfig, type VmcpConfigInput } from "../config/load-config.ts";
import type { PlanChange, ReloadPlan } from "../config/reload-plan.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER, type Logger } from "../domain/logger.ts";
import type { ServerInfo } from "../gateway/initialize.ts";
import type { BackendHealth } from "../health/backend-health.ts";
import type { HealthMonitor } from "../health/monitor.ts";
import { LATEST_SESSIONFUL } from "../mcp/revisions.ts";
import { MemoryPressure } from "../server/memory-pressure.ts";
import type { HostSeat } from "../server/host-seat.ts";
import { HttpHost } from "../server/http-host.ts";
import { StdioHost } from "../server/stdio-host.ts";
import type { AdmissionRules } from "../session/admission.ts";
import { Catalogues } from "../session/catalogues.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import type { LiveSessionFactory } from "../session/multi-session-factory.ts";
import type { MultiSessionFactory } from "../session/session.ts";
import type { SessionManager } from "../session/session-manager.ts";
import { AccessRules } from "./access-rules.ts";
import { createAudit, type GatewayAudit } from "./audit.ts";
import { assembleBackend } from "./backends.ts";
import type { Generation, GenerationBackend } from "./generation.ts";
import { Generations } from "./generations.ts";
import { createMonitor } from "./health.ts";
import { hostLimits } from "./host-limits.ts";
import { IncomingAuth } from "./incoming-auth.ts";
import { OutgoingAuth } from "./outgoing-auth.ts";
import { toOverview, type Overview } from "./overview.ts";
import { pinStatus, PinWatch } from "./pin-watch.ts";
import {
  createFactory,
  createSessions,
  longestClientAnswerMs,
  monotonicMs,
  toFactoryConfiguration,
} from "./sessions.ts";
import { socketsPerOrigin } from "./backend-sockets.ts";
import { Shutdown, type CloseOptions } from "./shutdown.ts";
import { retryFor, signInRoutes } from "./sign-in-routes.ts";
import { toBackendStatus } from "./status.ts";
import { packageVersion } from "./version.ts";

export interface VmcpOptions {
  /** Where to log. Default: nowhere, because a library does not write to its host's output unasked. */
  readonly logger?: Logger;
  /** Called when what is known of a backend's health changes, the first probe included. */
  readonly onBackendHealth?: (health: BackendHealth) => void;
  /** Makes sessions in place of the gateway's own factory; used where `sessionManagementV2` is on. */
  readonly sessionFactory?: MultiSessionFactory<EdgeSession>;
  /** Takes what `reload` is given to a checked configuration. Default: no environment, paths from the current folder. */
  readonly resolveConfig?: (input: VmcpConfigInput) => VmcpConfig;
  /** The place among several processes that serve the endpoint together. Default: this one alone. */
  readonly seat?: HostSeat;
}

/** What a reload did. */
export interface ReloadReport {
  /** The configuration in force: 1 is that of the start, and each reload that changed something adds 1. */
  readonly generation: number;
  /** In a fixed order; empty where the configuration is the one that is in force already. */
  readonly changes: readonly PlanChange[];
  /** Live sessions, all of which were taken over. */
  readonly sessions: number;
  /**
   * Advertised names of tools that came and went at once, as far as backends have ever said what they offer.
   * A backend that is new, or is another one now, joins when it has answered.
   */
  readonly tools: { readonly added: readonly string[]; readonly removed: readonly string[] };
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
  readonly #logger: Logger;
  readonly #host: HttpHost;
  readonly #monitor: HealthMonitor;
  readonly #audit: GatewayAudit;
  readonly #incoming: IncomingAuth;
  readonly #outgoing: OutgoingAuth;
  readonly #generations: Generations;
  readonly #catalogues: Catalogues;
  readonly #pinWatch: PinWatch;
  readonly #access: AccessRules;
  readonly #factory: LiveSessionFactory;
  readonly #resolveConfig: (input: VmcpConfigInput) => VmcpConfig;
  readonly #seat: HostSeat | undefined;
  readonly #salt = randomBytes(SALT_BYTES).toString("hex");
  #phase: "idle" | "starting" | "ready" | "draining" = "idle";
  #stdioHost: StdioHost | undefined;
  #startTimer: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;
  readonly #shutdown: Shutdown;

  private constructor(
    generations: Generations,
    catalogues: Catalogues,
    monitor: HealthMonitor,
    audit: GatewayAudit,
    incoming: IncomingAuth,
    outgoing: OutgoingAuth,
    options: VmcpOptions,
  ) {
    const logger = options.logger ?? SILENT_LOGGER;
    const { config } = generations.current;
    this.#generations = generations;
    this.#logger = logger;
    this.#catalogues = catalogues;
    this.#seat = options.seat;
    this.#resolveConfig = options.resolveConfig ?? ((input) => resolveConfig(input));
    this.serverInfo = { name: config.name, version: packageVersion() };
    this.#pinWatch = new PinWatch(logger, (mismatch) => audit.definitionMismatch(mismatch));
    this.#access = new AccessRules({
      logger,
      now: monotonicMs,
      hasForeignSessions: options.sessionFactory !== undefined,
      scopes: incoming,
    });
    this.#factory = createFactory(
      config,
      catalogues,
      (backend) => monitor.breakers.of(backend),
      logger,
      this.#pinWatch.by(generations.current.lock.pins),
      this.#access.of(config),
    );
    this.sessions = createSessions(
      () => generations.current,
      this.#factory,
      logger,
      options.sessionFactory,
      audit,
      options.seat && options.seat.mintSessionId.bind(options.seat),
    );
    this.#monitor = monitor;
    this.#audit = audit;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    notePerUser(catalogues, generations.current.backends);
    monitor.replaceBackends(generations.current.backends.map(({ assembled }) => assembled.probed));
    this.#host = this.#createHost(logger);
    this.#shutdown = this.#createShutdown(logger);
  }

  /** Builds every part and opens nothing yet. Rejects with `invalid_config`. */
  static async create(config: VmcpConfig, options: VmcpOptions = {}): Promise<Vmcp> {
    const catalogues = new Catalogues(monotonicMs);
    const logger = options.logger ?? SILENT_LOGGER;
    const audit = createAudit(config.audit, logger);
    let vmcp: Vmcp | undefined;
    const retry = (backend: BackendName): void => {
      if (vmcp !== undefined) vmcp.#retry(backend);
    };
    const monitor = createMonitor(config.operational, logger, {
      onChange: (health) => options.onBackendHealth?.(health),
      onAlive: (backend) => retry(backend),
    });
    const outgoing = new OutgoingAuth({
      logger,
      keys: config.server.stateKeys,
      onSignedIn: (identity) => retryFor(vmcp?.sessions.liveSessions() ?? [], identity),
      onRefresh: (refresh) => audit.credentialsRefreshed(refresh),
    });
    const parts = {
      limits: config.limits,
      logger,
      catalogues,
      breakers: monitor.breakers,
      outgoing,
      onReached: (backend: BackendName, toolCount: number) => monitor.reached(backend, toolCount),
      version: packageVersion(),
      onListed: (source: BackendCapabilities) => {
        if (vmcp !== undefined) vmcp.#noteListed(source);
      },
    };
    const generations = await Generations.create(config, async (backend) => {
      const http = new HttpPools({ calls: socketsPerOrigin(config) });
      const assembled = await assembleBackend(backend, { ...parts, http });
      return { http, assembled: { ...assembled, session: audit.backend(assembled.session) } };
    });
    const incoming = await IncomingAuth.create(config, logger);
    vmcp = new Vmcp(generations, catalogues, monitor, audit, incoming, outgoing, options);
    return vmcp;
  }

  /** Listens, and starts to probe the backends. Resolves with the endpoint's URL; rejects with `address_in_use`. */
  async listen(): Promise<string> {
    if (this.#phase !== "idle") {
      throw new VmcpError("invalid_argument", "This gateway was started or closed already");
    }
    const url = await this.#host.listen();
    this.#incoming.listens(url);
    this.#outgoing.listens(url);
    this.#audit.start("stdout");
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
    this.#audit.start("stderr");
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

  /** How long calls in flight may take when the gateway closes now. */
  get drainDeadlineMs(): number {
    return this.#config.operational.sessions.drainDeadlineMs;
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
    const id = await this.sessions.generate(identity);
    try {
      return await this.sessions.createSession(id, { identity, client });
    } catch (error) {
      // Nobody else knows this id.
      await Promise.allSettled([this.sessions.terminate(id)]);
      throw error;
    }
  }

  /** What clients see of the backends as far as they have ever answered, and what became of the rest. */
  overview(): Overview {
    return toOverview(this.#aggregate(this.#generations.current));
  }

  /** What each backend was last known to offer, exactly as it said it; those that never answered are absent. */
  offered(): readonly BackendCapabilities[] {
    return this.#offeredBy(this.#config);
  }

  /**
   * Goes over to another configuration, given as the content of a file or as what `loadConfig` returned: checked and
   * built whole, then put in place at once, for new sessions and for those that live. Backends that did not change
   * keep their connections; those of the others are closed once their calls in flight are over, no later than the
   * drain deadline. What cannot change without a restart stays as it was and is named in the report.
   *
   * Reloads run one after the other. Rejects with `ConfigError`, `invalid_config` or `shutting_down`, and nothing is
   * changed then. Sessions of a factory of one's own keep their backends until they end.
   */
  async reload(config: VmcpConfigInput | { readonly config: VmcpConfig }): Promise<ReloadReport> {
    return this.#audit.reload(async () => this.#reload(config));
  }

  /** For the audit log: a configuration was refused, with this code, before it could be given to `reload`. */
  reloadRefused(code: VmcpErrorCode): void {
    this.#audit.reloadRefused(code);
  }

  /**
   * Stops readiness, drains and closes everything, no later than two seconds after the grace and the drain
   * deadline. Safe to repeat.
   */
  async close(options?: CloseOptions): Promise<void> {
    await this.#shutdown.run(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #config(): VmcpConfig {
    return this.#generations.current.config;
  }

  async #reload(config: VmcpConfigInput | { readonly config: VmcpConfig }): Promise<ReloadReport> {
    const next = "config" in config ? config.config : this.#resolveConfig(config);
    const tools = { added: [] as readonly string[], removed: [] as readonly string[] };
    const incoming = await this.#incoming.prepare(next);
    const admission = this.#access.of(next);
    const { changes } = await this.#generations.change(next, async (generation, plan, running) => {
      const before = this.#toolNames(running);
      this.#forgetCatalogues(plan);
      incoming.install();
      const isInstalled = this.#install(generation, admission);
      const after = this.#toolNames(generation);
      tools.added = [...after].filter((name) => !before.has(name));
      tools.removed = [...before].filter((name) => !after.has(name));
      return isInstalled;
    });
    // A file that it reads may be another one although nothing of the configuration is.
    incoming.install();
    const { number } = this.#generations.current;
    return { generation: number, changes, sessions: this.sessions.liveSessions().length, tools };
  }

  /** What is known of a backend that is gone must not be shown, nor what another server offered under its name. */
  #forgetCatalogues({ changes }: ReloadPlan): void {
    for (const change of changes) {
      if (change.kind !== "backend_removed" && change.kind !== "backend_changed") continue;
      const backend = parseBackendName(change.backend);
      const connections = change.kind === "backend_removed" ? "replace" : change.connections;
      if (connections === "replace") this.#catalogues.forget(backend);
      if (connections === "reconnect") this.#catalogues.invalidate(backend);
    }
  }

  /** Everything before the first wait happens between two requests. */
  async #install({ config, backends, lock }: Generation, admission: AdmissionRules): Promise<void> {
    const assembled = backends.map((backend) => backend.assembled);
    for (const backend of backends) adjustTimeouts(backend);
    notePerUser(this.#catalogues, backends);
    this.#monitor.replaceBackends(assembled.map(({ probed }) => probed));
    await Promise.all([
      this.#factory.reconfigure(
        toFactoryConfiguration(config, this.#logger, this.#pinWatch.by(lock.pins), admission),
        assembled.map(({ session }) => session),
      ),
      this.#monitor.left(),
    ]);
  }

  #aggregate({ config, lock }: Pick<Generation, "config" | "lock">): Aggregate {
    const { withheldOf } = this.#pinWatch.by(lock.pins);
    const sources = this.#offeredBy(config).map((source) => ({
      ...source,
      withheld: withheldOf?.(source),
    }));
    return aggregate(sources, config.aggregation);
  }

  #offeredBy({ backends }: VmcpConfig): readonly BackendCapabilities[] {
    return backends.flatMap(({ name }) => {
      const capabilities = this.#catalogues.lastOfAny(name);
      return capabilities === undefined ? [] : [{ backend: name, capabilities }];
    });
  }

  #noteListed(source: BackendCapabilities): void {
    this.#pinWatch.noteListed(this.#generations.current.lock.pins, source);
  }

  #toolNames(generation: Pick<Generation, "config" | "lock">): ReadonlySet<string> {
    return new Set(this.#aggregate(generation).table.tools.keys());
  }

  /** Something has seen the backend alive: sessions that had to do without it try again. */
  #retry(backend: BackendName): void {
    for (const session of this.sessions.liveSessions()) session.retry(backend);
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

  #createShutdown(logger: Logger): Shutdown {
    return new Shutdown(
      {
        announce: () => {
          this.#phase = "draining";
          this.#generations.close();
          clearTimeout(this.#startTimer);
        },
        stopAccepting: () => this.#host.stopAccepting(),
        endSessions: async () =>
          Promise.all([
            this.#stdioHost?.[Symbol.asyncDispose](),
            this.sessions.close(),
            this.#monitor[Symbol.asyncDispose](),
          ]),
        cut: async () => {
          await this.#host[Symbol.asyncDispose]();
          await this.#incoming[Symbol.asyncDispose]();
          await this.#generations[Symbol.asyncDispose]();
          this.#outgoing[Symbol.dispose]();
          this.#audit[Symbol.dispose]();
        },
      },
      { drainDeadlineMs: () => this.#config.operational.sessions.drainDeadlineMs, logger },
    );
  }

  #createHost(logger: Logger): HttpHost {
    const { server, limits } = this.#config;
    return new HttpHost({
      ...server,
      limits: hostLimits(limits),
      messageLimits: { jsonDepth: limits.jsonDepth, idLength: limits.idLength },
      sessions: this.#audit.edge(this.sessions),
      serverInfo: this.serverInfo,
      clientAnswerMs: () => longestClientAnswerMs(this.#config),
      status: (withDigests) => this.#status(withDigests),
      isReady: () => this.#phase === "ready" && !this.#audit.isRefusing,
      readiness: () => this.#audit.readiness(),
      authenticator: this.#incoming,
      openRoutes: signInRoutes(this.#outgoing.signIns, logger),
      failedRequestsPerMinute: limits.failedRequestsPerMinute,
      onDenied: (request) => this.#audit.denied(request),
      pressure: new MemoryPressure({ logger, processes: this.#seat?.count ?? 1 }),
      ...(this.#seat && { seat: this.#seat }),
      logger,
    });
  }

  #createStdioHost(input: Readable, output: Writable): StdioHost {
    const { limits } = this.#config;
    return new StdioHost(input, output, {
      sessions: this.#audit.edge(this.sessions),
      identity: ANONYMOUS,
      serverInfo: this.serverInfo,
      logger: this.#logger,
      maxLineBytes: limits.requestBytes,
      messageLimits: { jsonDepth: limits.jsonDepth, idLength: limits.idLength },
      outputBufferBytes: limits.streamBufferBytes,
    });
  }

  #status(withDigests: boolean): JsonObject {
    const transports = new Map(
      this.#config.backends.map(({ name, transport }) => [name, transport]),
    );
    return {
      name: this.serverInfo.name,
      version: this.serverInfo.version,
      ...(this.#seat && { worker: this.#seat.number, workers: this.#seat.count }),
      ...(this.#config.groupRef !== undefined && { group: this.#config.groupRef }),
      phase: this.#phase,
      sessionManagementV2: this.#config.operational.sessionManagementV2,
      sessions: this.sessions.sessionCount,
      ...this.#audit.status(),
      ...pinStatus(this.#generations.current.lock.pins, this.offered()),
      config: {
        generation: this.#generations.current.number,
        ...(withDigests && { digests: { ...digestsOf(this.#config.comparable, this.#salt) } }),
      },
      backends: this.#monitor
        .health()
        .map((health) => toBackendStatus(health, transports.get(health.name) ?? "unknown")),
    };
  }
}

const SALT_BYTES = 16;

/** As it is in force: lists of a backend that knows its users stay theirs while another configuration is being made. */
function notePerUser(catalogues: Catalogues, backends: readonly GenerationBackend[]): void {
  for (const { config, assembled } of backends) {
    catalogues.setPerUser(config.name, assembled.credentials?.isPerUser === true);
  }
}

function adjustTimeouts({ assembled, config }: GenerationBackend): void {
  const { startMs, callMs, toolsMs, callMaxMs, clientAnswerMs } = config.timeouts;
  assembled.setTimeouts({ startMs, callMs, toolsMs, callMaxMs, clientAnswerMs });
}
