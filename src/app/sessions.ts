import type { VmcpConfig } from "../config/vmcp-config.ts";
import { mintSessionId, type SessionId } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { chooseSessionFactory } from "../gateway/session-source.ts";
import { ADMIT_ALL, type AdmissionRules } from "../session/admission.ts";
import type { SessionBackend } from "../session/backend-connection.ts";
import type { GuardOf } from "../session/backend-guard.ts";
import type { Catalogues } from "../session/catalogues.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { LiveSessionFactory, type FactoryConfiguration } from "../session/multi-session-factory.ts";
import type { MultiSessionFactory } from "../session/session.ts";
import { SessionManager } from "../session/session-manager.ts";
import { MemoryStorage } from "../session/stores/memory-storage.ts";
import { createArgumentCheck } from "./argument-check.ts";
import type { GatewayAudit } from "./audit.ts";
import type { Generation } from "./generation.ts";
import type { PinnedViews } from "./pin-watch.ts";

/** Milliseconds since the epoch that no clock change moves: lifetimes must not end because someone set the time. */
export function monotonicMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Owns every session; what a reload can change is asked for when it is needed. */
export function createSessions(
  current: () => Generation,
  own: LiveSessionFactory,
  logger: Logger,
  sessionFactory: MultiSessionFactory<EdgeSession> | undefined,
  audit: GatewayAudit,
  mintId: () => SessionId = mintSessionId,
): SessionManager<EdgeSession> {
  const { operational } = current().config;
  const makers = new SessionMakers(own, sessionFactory, audit);
  return new SessionManager<EdgeSession>({
    ...audit.sessionListeners,
    storage: new MemoryStorage(),
    mintId,
    get factory() {
      return makers.of(current()).factory;
    },
    backends: () => makers.of(current()).backends,
    clock: monotonicMs,
    logger,
    idleTtlMs: operational.sessions.idleTtlMs,
    unusedTtlMs: operational.sessions.unusedTtlMs,
    absoluteTtlMs: operational.sessions.absoluteTtlMs,
    get maxSessions() {
      return current().config.operational.sessions.maxSessions;
    },
    maxSessionsPerIdentity: operational.sessions.maxSessionsPerIdentity,
    evictIdleAfterMs: operational.sessions.evictIdleAfterMs,
    get drainDeadlineMs() {
      return current().config.operational.sessions.drainDeadlineMs;
    },
  });
}

interface SessionMaker {
  readonly generation: Generation;
  readonly factory: MultiSessionFactory<EdgeSession>;
  readonly backends: readonly SessionBackend[];
}

/** Who makes sessions of which backends: the same for all sessions of one generation. */
class SessionMakers {
  readonly #own: LiveSessionFactory;
  readonly #given: MultiSessionFactory<EdgeSession> | undefined;
  readonly #audit: GatewayAudit;
  #latest: SessionMaker | undefined;

  constructor(
    own: LiveSessionFactory,
    given: MultiSessionFactory<EdgeSession> | undefined,
    audit: GatewayAudit,
  ) {
    this.#own = own;
    this.#given = given;
    this.#audit = audit;
  }

  of(generation: Generation): SessionMaker {
    if (this.#latest?.generation === generation) return this.#latest;
    const chosen = chooseSessionFactory<MultiSessionFactory<EdgeSession>>({
      sessionManagementV2: generation.config.operational.sessionManagementV2,
      sessionFactory: this.#given ?? this.#own,
      discovery: this.#own,
    });
    const backends = generation.backends.map(({ assembled }) => assembled.session);
    this.#latest = { generation, factory: this.#audit.factory(chosen), backends };
    return this.#latest;
  }
}

/** The gateway's own way to make sessions. */
export function createFactory(
  config: VmcpConfig,
  catalogues: Catalogues,
  guardOf: GuardOf,
  logger: Logger,
  pinned: PinnedViews = {},
  admission: AdmissionRules = ADMIT_ALL,
): LiveSessionFactory {
  const { maxGlobalBackendStartConcurrency } = config.operational.sessions;
  return new LiveSessionFactory({
    ...toFactoryConfiguration(config, logger, pinned, admission),
    catalogues,
    now: monotonicMs,
    logger,
    maxGlobalStartConcurrency: maxGlobalBackendStartConcurrency,
    guardOf,
  });
}

/** The part of a configuration that the factory takes to sessions that live. */
export function toFactoryConfiguration(
  { operational: { sessions, failureHandling }, aggregation, limits, backends }: VmcpConfig,
  logger: Logger,
  pinned: PinnedViews = {},
  admission: AdmissionRules = ADMIT_ALL,
): FactoryConfiguration {
  const slots = new Map(backends.map(({ name, maxConcurrentCalls }) => [name, maxConcurrentCalls]));
  return {
    aggregation,
    maxStartConcurrency: sessions.maxBackendStartConcurrency,
    startTimeoutMs: Math.max(...backends.map(({ timeouts }) => timeouts.startMs)),
    startDeadlineMs: sessions.startDeadlineMs,
    drainDeadlineMs: sessions.drainDeadlineMs,
    clientAnswerTimeoutMs: longestClientAnswerMs({ backends }),
    maxCallsInFlight: limits.callsPerSession,
    callLimits: {
      callsPerProcess: limits.callsPerProcess,
      callsPerBackend: (name) => slots.get(name) ?? Number.POSITIVE_INFINITY,
    },
    partialFailure: failureHandling.partialFailureMode,
    argumentCheck: createArgumentCheck({ backends, limits }, logger),
    ...pinned,
    admission,
  };
}

/** How long any backend waits for what it asked a client. */
export function longestClientAnswerMs({ backends }: Pick<VmcpConfig, "backends">): number {
  return Math.max(...backends.map(({ timeouts }) => timeouts.clientAnswerMs));
}
