import type { CapabilitySet } from "../domain/capabilities.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type {
  BackendConnection,
  ConnectionListener,
  ConnectOutcome,
  ConnectRequest,
  SessionBackend,
} from "./backend-connection.ts";
import type { BackendGuard } from "./backend-guard.ts";
import { tellFailure } from "./guard-outcome.ts";
import { ConnectAttempt } from "./connect-attempt.ts";
import { budgetSpent, retryIn, toUnavailable } from "./link-failures.ts";
import { NO_LINK_POLICY, type LinkPolicy } from "./link-policy.ts";
import { LinkUpkeep, needsUpkeep, type UpkeptLink } from "./link-upkeep.ts";
import { Restarts, type Rest } from "./restarts.ts";

/** Waits between attempts to reach a backend that failed. */
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;

type LinkState =
  | { readonly phase: "idle" }
  | {
      readonly phase: "connecting";
      readonly ending: Promise<void>;
      readonly attempt: ConnectAttempt;
    }
  | { readonly phase: "ready"; readonly connection: BackendConnection }
  | {
      readonly phase: "failed";
      readonly error: VmcpError;
      readonly retryAtMs: number;
      /** Nobody may try earlier, not even who saw the backend alive: it starts well and ends too often. */
      readonly isHeld: boolean;
    }
  /** Closed because nobody used it, until a call does. */
  | { readonly phase: "resting" }
  /** With its end, once that has begun. */
  | { readonly phase: "closed"; readonly ending?: Promise<VmcpError | undefined> };

/** The session that a link belongs to. One object serves all its links, which are many. */
export interface LinkHost {
  readonly startTimeoutMs: number;
  /** How long closing waits for an attempt to connect that does not heed its signal; it closes itself later. */
  readonly closeDeadlineMs: number;
  readonly logger: Logger;
  now(): number;
  /** What a backend is asked to connect with; `known` are lists that are known to be current. */
  connectRequest(listener: ConnectionListener, known: CapabilitySet | undefined): ConnectRequest;
  /** Permits to take before connecting, narrowest first: those of the session, then those of the process. */
  slotsFor(backend: BackendName): readonly Semaphore[];
  /** Lists that are known to be current, so that they need not be fetched. */
  knownCapabilities(backend: BackendName): CapabilitySet | undefined;
  /** Called at each successful connect, before any call uses the connection. */
  onReady(link: BackendLink, capabilities: CapabilitySet, isFirst: boolean): void;
  onUnsolicited(link: BackendLink, message: BackendMessage): void;
  /** Called before a connection is closed, whether it was lost, rests or goes with its link. */
  onLeave(connection: BackendConnection): void;
}

const IDLE: LinkState = { phase: "idle" };

export interface LinkOptions {
  readonly backend: SessionBackend;
  /** Asked before each attempt to connect; calls ask it too. */
  readonly guard: BackendGuard;
  readonly host: LinkHost;
}

/**
 * One session's link to one backend: it connects, remembers a failure, and connects again when asked to.
 *
 * However many ask at once, one attempt runs. A connection that arrives after the link was closed, or after
 * its attempt had timed out, is closed at once.
 */
export class BackendLink implements AsyncDisposable, UpkeptLink {
  readonly #backend: SessionBackend;
  readonly #host: LinkHost;
  readonly #guard: BackendGuard;
  readonly #restarts: Restarts | undefined;
  readonly #upkeep: LinkUpkeep | undefined;
  /** Connections on their way out: closing the link waits for them too. */
  #leaving: Set<Promise<void>> | undefined;
  /** The lists that its connection was offered last; undefined before the first. */
  offered: CapabilitySet | undefined;
  #state: LinkState = IDLE;
  #failures = 0;
  #connects = 0;
  /** The backend's state was lost and no answer has told the client yet. */
  #hasUntoldLoss = false;
  /** The connection before this one had a state that was lost with it. */
  #hadState = false;
  #callsInFlight = 0;
  #lastUsedAtMs = 0;

  constructor({ backend, guard, host }: LinkOptions) {
    this.#backend = backend;
    this.#guard = guard;
    this.#host = host;
    const { policy } = this;
    const { logger } = host;
    this.#restarts = policy.restart === undefined ? undefined : new Restarts(policy.restart);
    this.#upkeep = needsUpkeep(policy)
      ? new LinkUpkeep({ policy, link: this, now: () => host.now(), logger })
      : undefined;
  }

  get name(): BackendName {
    return this.#backend.name;
  }

  get serverId(): string | undefined {
    return this.#backend.serverId;
  }

  get policy(): LinkPolicy {
    return this.#backend.policy ?? NO_LINK_POLICY;
  }

  /** Whether this is its backend: the same object, and not only the same name. */
  isTo(backend: SessionBackend): boolean {
    return this.#backend === backend;
  }

  get phase(): LinkState["phase"] {
    return this.#state.phase;
  }

  /** The connection if there is one right now; the call path asks this first. */
  get connection(): BackendConnection | undefined {
    return this.#state.phase === "ready" ? this.#state.connection : undefined;
  }

  /** Whether its backend failed so often of late that nobody should wait for it. */
  get isDoubtful(): boolean {
    return this.#guard.isDoubtful;
  }

  get failure(): VmcpError | undefined {
    return this.#state.phase === "failed" ? this.#state.error : undefined;
  }

  /** Takes the mark that the next answer must carry, if the backend lost its state since the last one. */
  takeUntoldLoss(): boolean {
    const isUntold = this.#hasUntoldLoss;
    this.#hasUntoldLoss = false;
    return isUntold;
  }

  get callsInFlight(): number {
    return this.#callsInFlight;
  }

  get lastUsedAtMs(): number {
    return this.#lastUsedAtMs;
  }

  /** Lets a call through to the connection; exactly one of the three below follows. Throws the guard's refusal. */
  callBegins(): void {
    this.#guard.admit();
    this.#callsInFlight += 1;
  }

  callSucceeded(): void {
    this.#callEnded();
    this.#guard.succeeded();
  }

  callFailed(error: VmcpError): void {
    this.#callEnded();
    tellFailure(this.#guard, error);
  }

  /** How the call ended says nothing of the backend. */
  callWithdrawn(): void {
    this.#callEnded();
    this.#guard.withdrawn();
  }

  /** Connects unless connected; resolves when the attempt has ended, either way. */
  connect(): Promise<void> {
    if (this.#state.phase === "connecting") return this.#state.ending;
    if (this.#state.phase === "ready" || this.#state.phase === "closed") return Promise.resolve();
    if (this.#state.phase === "failed" && this.#state.isHeld && this.#waitMs(this.#state) > 0) {
      return Promise.resolve();
    }
    const made = new Made(this);
    const attempt = this.#attemptFor(made);
    const ending = this.#settle(attempt.run(), made);
    this.#state = { phase: "connecting", ending, attempt };
    return ending;
  }

  /**
   * The connection, made if there is none. Rejects with the backend's failure, at once while a failed
   * backend is given time to recover.
   */
  async ready(): Promise<BackendConnection> {
    const { phase } = this.#state;
    if (this.#state.phase === "failed") {
      const waitMs = this.#waitMs(this.#state);
      if (waitMs > 0) throw retryIn(waitMs, this.#state.error);
    }
    await this.connect();
    const state: LinkState = this.#state;
    if (state.phase === "ready") return state.connection;
    // It was lost while we looked at it: who met the loss is told a moment before the link is.
    if (state.phase === "failed" && phase === "ready") return this.ready();
    if (state.phase === "failed") throw state.error;
    throw new VmcpError("session_closed", "The session was closed; open a new one", {
      backend: this.name,
      executionState: "not_executed",
    });
  }

  /**
   * A connection is gone or of no more use. The next call connects anew, without waiting unless the backend's
   * process has ended before within the window of its policy.
   */
  lose(connection: BackendConnection, error: VmcpError): void {
    if (this.#state.phase !== "ready" || this.#state.connection !== connection) return;
    this.#failed(error, this.#restarts?.exited(this.#host.now()) ?? { waitMs: 0 }, true);
    this.#letGo(connection);
  }

  /** A message of the backend that belongs to no call's own stream. */
  heard(message: BackendMessage): void {
    if (this.#state.phase !== "closed") this.#host.onUnsolicited(this, message);
  }

  reattach(): void {
    if (this.#state.phase === "failed" && this.#waitMs(this.#state) <= 0) void this.connect();
  }

  rest(): void {
    if (this.#state.phase !== "ready") return;
    const { connection } = this.#state;
    this.#state = { phase: "resting" };
    this.#letGo(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failure = await this.end();
    if (failure !== undefined) throw failure;
  }

  /** Closes the link at once, and resolves with what was not closed cleanly, which is logged. Never rejects. */
  end(): Promise<VmcpError | undefined> {
    const state = this.#state;
    if (state.phase === "closed" && state.ending !== undefined) return state.ending;
    this.#state = { phase: "closed" };
    this.#upkeep?.stop();
    const ending = this.#close(state);
    this.#state = { phase: "closed", ending };
    return ending;
  }

  async #close(state: LinkState): Promise<VmcpError | undefined> {
    if (state.phase === "connecting") {
      state.attempt.abort(new VmcpError("session_closed", "The session was closed"));
      await state.ending;
    }
    let failure: VmcpError | undefined;
    if (state.phase === "ready") {
      try {
        await this.#closed(state.connection);
      } catch (error) {
        this.#warnOf(error);
        failure = VmcpError.from(error);
      }
    }
    if (this.#leaving !== undefined) {
      const results = await Promise.allSettled(this.#leaving);
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) failure ??= VmcpError.from(failed.reason);
    }
    return failure;
  }

  #attemptFor(made: Made): ConnectAttempt {
    const { startTimeoutMs, closeDeadlineMs } = this.#host;
    return new ConnectAttempt({
      name: this.name,
      slots: this.#host.slotsFor(this.name),
      timeoutMs: startTimeoutMs,
      admit: () => this.#admit(made),
      connect: (signal) => this.#backend.connect(this.#request(made), signal),
      onAbandoned: (late) => this.#track(orAfter(late, closeDeadlineMs)),
    });
  }

  async #settle(connecting: Promise<ConnectOutcome>, made: Made): Promise<void> {
    let failure: unknown;
    try {
      const { connection, capabilities, error } = await connecting;
      failure = error ?? made.error;
      if (connection !== undefined && capabilities !== undefined && failure === undefined) {
        made.connection = connection;
        this.#accept(connection, capabilities);
        return;
      }
      if (connection !== undefined) this.#letGo(connection);
      failure ??= new Error("it connected without a connection or without its lists");
    } catch (thrown) {
      failure = thrown;
    }
    this.#fail(failure, made);
  }

  #accept(connection: BackendConnection, capabilities: CapabilitySet): void {
    this.#guard.succeeded();
    if (this.#state.phase === "closed") {
      this.#letGo(connection);
      return;
    }
    const isFirst = this.#connects === 0;
    this.#connects += 1;
    this.#failures = 0;
    if (this.#hadState) this.#hasUntoldLoss = true;
    this.#hadState = connection.isStateless !== true;
    this.#state = { phase: "ready", connection };
    this.#lastUsedAtMs = this.#host.now();
    this.#upkeep?.start();
    this.#host.onReady(this, capabilities, isFirst);
  }

  #fail(thrown: unknown, { isAdmitted, refusal }: Made): void {
    if (this.#state.phase === "closed") {
      if (isAdmitted) this.#guard.withdrawn();
      return;
    }
    if (refusal !== undefined) {
      this.#holdBack(refusal);
      return;
    }
    const error = toUnavailable(this.name, thrown);
    if (isAdmitted) tellFailure(this.#guard, error);
    const askedMs = (error.retryAfterSeconds ?? 0) * 1_000;
    // Who says when to come again has started nothing: that is no end of a process.
    const restarts = askedMs > 0 ? undefined : this.#restarts;
    const rest = restarts?.startFailed(this.#host.now()) ?? this.#backoff();
    this.#failed(error, { ...rest, waitMs: Math.max(rest.waitMs, askedMs) });
    this.#host.logger.warn("backend could not be connected for a session", {
      backend: this.name,
      reason: error.message,
    });
  }

  #backoff(): Rest {
    const waitMs = Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures, MAX_BACKOFF_MS);
    this.#failures += 1;
    return { waitMs };
  }

  #failed(error: VmcpError, { waitMs, spent }: Rest, hasRun = false): void {
    this.#state = {
      phase: "failed",
      error: spent === undefined ? error : budgetSpent(error, spent),
      retryAtMs: this.#host.now() + waitMs,
      isHeld: spent !== undefined && hasRun,
    };
  }

  /** The guard knows that an attempt would fail: nothing was tried, and nothing is for as long as it says. */
  #holdBack(refusal: VmcpError): void {
    this.#failed(refusal, { waitMs: (refusal.retryAfterSeconds ?? 0) * 1_000 });
  }

  #waitMs({ retryAtMs }: { readonly retryAtMs: number }): number {
    return retryAtMs - this.#host.now();
  }

  #callEnded(): void {
    this.#callsInFlight -= 1;
    this.#lastUsedAtMs = this.#host.now();
  }

  #admit(made: Made): void {
    try {
      this.#guard.admit();
      made.isAdmitted = true;
    } catch (error) {
      made.refusal = VmcpError.from(error);
      throw error;
    }
  }

  #request(made: Made): ConnectRequest {
    // A backend that lost its state may have been replaced by one that offers something else.
    const known = this.#connects === 0 ? this.#host.knownCapabilities(this.name) : undefined;
    return this.#host.connectRequest(made, known);
  }

  #letGo(connection: BackendConnection): void {
    this.#track(this.#closed(connection));
  }

  #closed(connection: BackendConnection): Promise<void> {
    this.#host.onLeave(connection);
    return connection[Symbol.asyncDispose]();
  }

  #track(closing: Promise<void>): void {
    this.#leaving ??= new Set();
    this.#leaving.add(closing);
    void this.#forget(closing);
  }

  async #forget(closing: Promise<void>): Promise<void> {
    try {
      await closing;
    } catch (error) {
      this.#warnOf(error);
    }
    // While the link closes, whoever closes it reads the outcome from the set.
    if (this.#state.phase !== "closed") this.#leaving?.delete(closing);
  }

  #warnOf(fault: unknown): void {
    this.#host.logger.warn("backend connection did not close cleanly", {
      backend: this.name,
      reason: messageOf(fault),
    });
  }
}

/** What one attempt made: a connection, which it hears; so the loss of an older one harms nobody. */
class Made implements ConnectionListener {
  readonly #link: BackendLink;
  isAdmitted = false;
  /** Why the guard did not let it be tried. */
  refusal: VmcpError | undefined;
  connection: BackendConnection | undefined;
  error: VmcpError | undefined;

  constructor(link: BackendLink) {
    this.#link = link;
  }

  unsolicited(message: BackendMessage): void {
    this.#link.heard(message);
  }

  lost(error: VmcpError): void {
    this.error = error;
    if (this.connection !== undefined) this.#link.lose(this.connection, error);
  }
}

/** A connection that heeds no signal is closed when it comes, but not waited for any longer than that. */
async function orAfter(closing: Promise<void>, deadlineMs: number): Promise<void> {
  await settledWithin(closing, deadlineMs);
}
