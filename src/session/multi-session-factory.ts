import { isDeepStrictEqual } from "node:util";
import type { AggregationSettings } from "../aggregation/settings.ts";
import { VmcpError } from "../domain/errors.ts";
import { mintSessionId, parseSessionId, type SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import { PassingMap } from "../lib/passing-map.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { ADMIT_ALL, type AdmissionRules } from "./admission.ts";
import { NO_ARGUMENT_CHECK, type ArgumentCheck } from "./argument-check.ts";
import { NO_GUARD, type GuardOf } from "./backend-guard.ts";
import { CallLimits, NO_CALL_LIMITS, type CallLimitOptions } from "./call-limits.ts";
import type { SessionBackend } from "./backend-connection.ts";
import { BackendSlots } from "./backend-slots.ts";
import type { Catalogues } from "./catalogues.ts";
import { ClientProfiles } from "./client-profiles.ts";
import type { BackendStanding } from "./edge-session.ts";
import type { IntroducedAs } from "./introduced.ts";
import { LiveSession } from "./live-session.ts";
import type { SessionConfiguration, SessionSurroundings } from "./live-session-options.ts";
import type { MakeSessionOptions, MultiSessionFactory } from "./session.ts";
import { ShownCapabilities } from "./shown-capabilities.ts";
import { Views, type WithheldOf } from "./view.ts";
import { withdrawalOf } from "./withdrawal.ts";

export interface FactoryOptions {
  readonly catalogues: Catalogues;
  readonly aggregation: AggregationSettings;
  readonly now: () => number;
  readonly logger: Logger;
  /** Backends that one session connects to at once. Not above zero means the default, 10. */
  readonly maxStartConcurrency?: number;
  /** Backends that all sessions connect to at once. Default 64. */
  readonly maxGlobalStartConcurrency?: number;
  /** Connect, initialize and lists of one backend. Not above zero means the default, 30 s. */
  readonly startTimeoutMs?: number;
  /** How long the maker of a session waits for its backends; who is late joins later. Default: until all ended. */
  readonly startDeadlineMs?: number;
  readonly drainDeadlineMs?: number;
  readonly clientAnswerTimeoutMs?: number;
  /** Calls that one session may have in flight. Default 16. */
  readonly maxCallsInFlight?: number;
  /** Asked before each call of a tool. Default: every call goes to its backend. */
  readonly argumentCheck?: ArgumentCheck;
  /** Who may use what, and how often. Replaced only by one that says otherwise. Default: everyone everything. */
  readonly admission?: AdmissionRules;
  /** Asked what of a backend's lists is withheld. Replaced only by one that says otherwise. Default: nothing is. */
  readonly withheldOf?: WithheldOf | undefined;
  /** How backends are introduced to clients. Default: as they introduced themselves. */
  readonly introducedAs?: IntroducedAs | undefined;
  /** Calls that all sessions together may have in flight. Default: no limit. */
  readonly callLimits?: CallLimitOptions;
  /** Who is asked before each call and each attempt to connect. Default: everything is let through. */
  readonly guardOf?: GuardOf;
  /** `fail` refuses a session of which a backend cannot start (`start_failed`). Default: it lives without. */
  readonly partialFailure?: "best_effort" | "fail";
}

/** What a new configuration may change while sessions live. What it leaves out has its default again. */
export type FactoryConfiguration = Pick<
  FactoryOptions,
  | "aggregation"
  | "withheldOf"
  | "introducedAs"
  | "maxStartConcurrency"
  | "startTimeoutMs"
  | "startDeadlineMs"
  | "drainDeadlineMs"
  | "clientAnswerTimeoutMs"
  | "maxCallsInFlight"
  | "argumentCheck"
  | "admission"
  | "callLimits"
  | "partialFailure"
>;

/** How long the start of a session waits for a backend that it can do without for now. */
const START_PATIENCE_MS = 500;

const DEFAULT_START_CONCURRENCY = 10;
const DEFAULT_GLOBAL_START_CONCURRENCY = 64;
const DEFAULT_START_TIMEOUT_MS = 30_000;
const DEFAULT_DRAIN_DEADLINE_MS = 25_000;
const DEFAULT_CLIENT_ANSWER_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_CALLS_IN_FLIGHT = 16;

/** Makes live sessions. All sessions of one factory share its views and its permits to connect. */
export class LiveSessionFactory implements MultiSessionFactory<LiveSession> {
  /** By their number: an id may come again while the first session of that id still closes. */
  readonly #sessions = new PassingMap<number, LiveSession>();
  #made = 0;
  #options: FactoryOptions;
  #views: Views;
  #shown: ShownCapabilities;
  readonly #callLimits: CallLimits;
  readonly #clients = new ClientProfiles();
  readonly #around: SessionSurroundings;
  /** What the latest session was made with. */
  #latest: SessionConfiguration | undefined;

  constructor(options: FactoryOptions) {
    this.#options = options;
    this.#views = new Views(options.aggregation, options.withheldOf);
    this.#shown = new ShownCapabilities((options.admission ?? ADMIT_ALL).policy);
    this.#callLimits = new CallLimits(options.callLimits ?? NO_CALL_LIMITS);
    const startConcurrency = positiveOr(
      options.maxGlobalStartConcurrency,
      DEFAULT_GLOBAL_START_CONCURRENCY,
    );
    this.#around = {
      catalogues: options.catalogues,
      processSlots: new Semaphore(startConcurrency),
      backendSlots: new BackendSlots(startConcurrency),
      callLimits: this.#callLimits,
      guardOf: options.guardOf ?? (() => NO_GUARD),
      onClosed: (number) => void this.#sessions.delete(number),
      now: options.now,
      logger: options.logger,
    };
  }

  /**
   * Sessions that are made from now on, and at once all that live or are being made, have this configuration and
   * these backends. Resolves when the connections that had to go are closed in all of them. Never rejects.
   */
  async reconfigure(
    next: FactoryConfiguration,
    backends: readonly SessionBackend[],
  ): Promise<void> {
    const { catalogues, now, logger, maxGlobalStartConcurrency, guardOf } = this.#options;
    const isJudgedAsBefore = next.withheldOf === this.#options.withheldOf;
    if (!isJudgedAsBefore || !isDeepStrictEqual(next.aggregation, this.#options.aggregation)) {
      this.#views = new Views(next.aggregation, next.withheldOf);
    }
    const { policy } = next.admission ?? ADMIT_ALL;
    if (policy !== (this.#options.admission ?? ADMIT_ALL).policy) {
      this.#shown = new ShownCapabilities(policy);
    }
    this.#options = {
      ...next,
      catalogues,
      now,
      logger,
      ...(maxGlobalStartConcurrency !== undefined && { maxGlobalStartConcurrency }),
      ...(guardOf !== undefined && { guardOf }),
    };
    this.#callLimits.reconfigure(next.callLimits ?? NO_CALL_LIMITS);
    const configuration = this.#configuration(backends);
    this.#latest = configuration;
    await Promise.all(
      [...this.#sessions.values()].map(async (session) => session.reconfigure(configuration)),
    );
  }

  makeSession(
    identity: Identity,
    backends: readonly (SessionBackend | undefined)[],
    options: MakeSessionOptions,
  ): Promise<LiveSession> {
    return this.makeSessionWithId(mintSessionId(), identity, backends, options);
  }

  async makeSessionWithId(
    id: string,
    identity: Identity,
    backends: readonly (SessionBackend | undefined)[],
    options: MakeSessionOptions,
  ): Promise<LiveSession> {
    const sessionId = parseSessionId(id);
    const withdrawal = withdrawalOf(options);
    if (withdrawal === undefined) options.signal?.throwIfAborted();
    else withdrawal.throwIfAborted();
    const session = this.#create(sessionId, identity, this.#present(backends), options);
    try {
      await this.#start(session, options);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    session.begin();
    return session;
  }

  #create(
    id: SessionId,
    identity: Identity,
    backends: readonly SessionBackend[],
    { client, drainDeadlineMs }: MakeSessionOptions,
  ): LiveSession {
    const configuration = this.#configurationOf(backends, drainDeadlineMs);
    this.#made += 1;
    const number = this.#made;
    const { client: shared, clientKind } = this.#clients.of(client, identity);
    const session = new LiveSession({
      id,
      number,
      identity,
      client: shared,
      clientKind,
      configuration,
      around: this.#around,
    });
    this.#sessions.set(number, session);
    return session;
  }

  /** The one that the latest session has, where nothing sets this one apart. */
  #configurationOf(
    backends: readonly SessionBackend[],
    drainDeadlineMs: number | undefined,
  ): SessionConfiguration {
    const known = this.#latest;
    const isSame = known !== undefined && haveSame(known.backends, backends);
    const configuration = isSame ? known : this.#configuration(backends);
    this.#latest = configuration;
    if (drainDeadlineMs === undefined || drainDeadlineMs === configuration.drainDeadlineMs) {
      return configuration;
    }
    return { ...configuration, drainDeadlineMs };
  }

  #configuration(backends: readonly SessionBackend[]): SessionConfiguration {
    const { startTimeoutMs, drainDeadlineMs, clientAnswerTimeoutMs, maxCallsInFlight } =
      this.#options;
    return {
      backends,
      views: this.#views,
      startTimeoutMs: positiveOr(startTimeoutMs, DEFAULT_START_TIMEOUT_MS),
      drainDeadlineMs: drainDeadlineMs ?? DEFAULT_DRAIN_DEADLINE_MS,
      clientAnswerTimeoutMs: clientAnswerTimeoutMs ?? DEFAULT_CLIENT_ANSWER_TIMEOUT_MS,
      maxCallsInFlight: maxCallsInFlight ?? DEFAULT_CALLS_IN_FLIGHT,
      maxStartConcurrency: positiveOr(this.#options.maxStartConcurrency, DEFAULT_START_CONCURRENCY),
      argumentCheck: this.#options.argumentCheck ?? NO_ARGUMENT_CHECK,
      introducedAs: this.#options.introducedAs,
      admission: this.#options.admission ?? ADMIT_ALL,
      shown: this.#shown,
    };
  }

  /** Rejects only if the signal aborts, or if a backend failed and that is not to be tolerated. */
  async #start(session: LiveSession, making: MakeSessionOptions): Promise<void> {
    const { startDeadlineMs: deadlineMs, partialFailure } = this.#options;
    const mustAllStart = partialFailure === "fail";
    const isPatient = mustAllStart || deadlineMs === undefined;
    const optionalMs = isPatient ? undefined : START_PATIENCE_MS;
    const withdrawal = withdrawalOf(making);
    const signal = withdrawal === undefined ? making.signal : undefined;
    await session.connect({ optionalMs, deadlineMs, withdrawal, signal });
    if (mustAllStart) requireAll(session.backends());
    if (!session.hasBackend) this.#options.logger.warn("session starts without any backend");
  }

  #present(given: readonly (SessionBackend | undefined)[]): readonly SessionBackend[] {
    if (isWhole(given)) return given;
    const present = given.filter((backend) => backend !== undefined);
    if (present.length < given.length) {
      this.#options.logger.warn("absent backends were skipped", {
        skipped: given.length - present.length,
      });
    }
    return present;
  }
}

function requireAll(standings: readonly BackendStanding[]): void {
  const failed = standings.find(({ failure }) => failure !== undefined);
  if (failed?.failure === undefined) return;
  throw new VmcpError("start_failed", failed.failure.message, {
    cause: failed.failure,
    backend: failed.name,
    executionState: "not_executed",
    retryAfterSeconds: 5,
  });
}

function haveSame(left: readonly object[], right: readonly object[]): boolean {
  if (left === right) return true;
  return left.length === right.length && left.every((each, index) => each === right[index]);
}

function isWhole<Item>(items: readonly (Item | undefined)[]): items is readonly Item[] {
  return !items.includes(undefined);
}

function positiveOr(value: number | undefined, fallback: number): number {
  return value !== undefined && value > 0 ? value : fallback;
}
