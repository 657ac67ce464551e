import { messageOf, VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { Identity } from "../domain/identity.ts";
import { mintSessionId, parseSessionId } from "../domain/ids.ts";
import type { SessionId } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import { LateSignal } from "../lib/late-signal.ts";
import { PassingMap } from "../lib/passing-map.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { adaptTools } from "./adapted-tools.ts";
import type { AdaptedTool } from "./adapted-tools.ts";
import { Readiness } from "./held-session.ts";
import type { CreatingSession, HeldSession } from "./held-session.ts";
import { IdentityQuota, RETRY_AFTER_SECONDS } from "./identity-quota.ts";
import { IdleSessions } from "./idle-sessions.ts";
import { isFinal, makeSession } from "./session-creation.ts";
import type { CreateSessionRequest, SessionMaking } from "./session-creation.ts";
import type { SessionEnd } from "./session-end.ts";
import {
  markTerminated,
  notFound,
  publish,
  requirePlaceholder,
  terminated,
  untilWon,
} from "./session-phases.ts";
import type { SessionRecord } from "./session-record.ts";
import type { SessionStorage } from "./session-storage.ts";
import type { MultiSession } from "./session.ts";
import { TransportSessionManager } from "./transport-session-manager.ts";
import { withdrawalOf } from "./withdrawal.ts";

export interface SessionManagerOptions<
  S extends MultiSession = MultiSession,
> extends SessionMaking<S> {
  /** Holds the records; closed together with the manager. */
  readonly storage: SessionStorage;
  /** Milliseconds since the epoch, without jumps. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** A session that nobody used this long is closed, unless it is busy. */
  readonly idleTtlMs: number;
  /** As `idleTtlMs`, for a session that nothing was asked of and whose request says so. Default: no shorter. */
  readonly unusedTtlMs?: number;
  /** A session this old is closed, however busy. Default: no limit. */
  readonly absoluteTtlMs?: number;
  /** Sessions and placeholders at one time; protects memory. */
  readonly maxSessions: number;
  /** Makes the id of each session. Default: `mintSessionId`. */
  readonly mintId?: () => SessionId;
  /** Sessions of one identified client. Default: no limit. */
  readonly maxSessionsPerIdentity?: number;
  /** Where there is no room, the least recently used session goes if nobody used it this long. Default: none does. */
  readonly evictIdleAfterMs?: number;
  /** Called once for each session, when it is live. Must not throw. */
  readonly onSessionCreated?: (session: S) => void;
  /** Called once for each session that was live, after it was closed. */
  readonly onSessionClosed?: SessionClosedListener<S>;
}

export type SessionClosedListener<S> = (id: SessionId, end: SessionEnd, session: S) => void;

const GENERATE_ATTEMPTS = 2;

/** A backend that is slow to let go of a session must not keep the next client for longer. */
const EVICTION_WAIT_MS = 1_000;

/**
 * Owns every session of this process, from the id that a client gets to the last connection closed.
 *
 * A session is made in two phases. `generate` stores a placeholder; `createSession` connects the backends and
 * turns the placeholder into a live session by a conditional write on its record. Termination is a conditional
 * write on the same record, so exactly one of them wins whatever the order, and the loser closes what it opened.
 * No lock is held while anything waits.
 */
export class SessionManager<S extends MultiSession = MultiSession> {
  readonly #options: SessionManagerOptions<S>;
  readonly #transport: TransportSessionManager;
  readonly #held = new PassingMap<string, HeldSession<S>>();
  /** Terminated placeholders, oldest first. They are marks only and bounded apart from the sessions. */
  readonly #terminated = new Set<SessionId>();
  readonly #closedListeners = new Set<SessionClosedListener<S>>();
  readonly #quota: IdentityQuota;
  readonly #idle: IdleSessions<S>;
  /** Sessions that make room for others: their places are taken already. */
  #leaving = 0;
  #isShuttingDown = false;
  #shutdown: Promise<void> | undefined;

  constructor(options: SessionManagerOptions<S>) {
    this.#options = options;
    if (options.onSessionClosed) this.#closedListeners.add(options.onSessionClosed);
    this.#quota = new IdentityQuota(options.maxSessionsPerIdentity ?? Infinity);
    this.#idle = new IdleSessions({
      ...options,
      idleForMs: options.evictIdleAfterMs ?? Infinity,
      live: () => this.liveSessions(),
      find: (id) => this.#live(id),
    });
    this.#transport = new TransportSessionManager({
      ...options,
      isUnused: (id) => this.#isUnused(id),
      isActive: (id, sinceMs) => this.#isActive(id, sinceMs),
      onExpired: async (record) => this.#endExpired(record),
    });
  }

  /** Sessions of this process: placeholders, those being made, live ones and those that are closing. */
  get sessionCount(): number {
    return this.#held.size;
  }

  /** The sessions that can be called right now. */
  liveSessions(): readonly S[] {
    return [...this.#held.values()].flatMap((held) =>
      held.phase === "live" ? [held.session] : [],
    );
  }

  /**
   * Stores a placeholder and resolves with its id, a version 4 UUID. Resolves with "" if the storage failed
   * for two ids in a row. Where the gateway is full, an idle session is closed to make room. Throws
   * `too_many_sessions` when there is none, or none for this client, and `shutting_down` after `close`.
   */
  async generate(identity: Identity = ANONYMOUS): Promise<string> {
    for (let attempt = 1; attempt <= GENERATE_ATTEMPTS; attempt += 1) {
      this.#refuseDuringShutdown();
      this.#quota.requireRoom(identity);
      const evicted = this.#hasRoom() ? undefined : this.#evict();
      const id = this.#options.mintId?.() ?? mintSessionId();
      this.#held.set(id, { phase: "placeholder", ready: new Readiness() });
      if (evicted !== undefined) await settledWithin(evicted, EVICTION_WAIT_MS);
      if (await this.#storePlaceholder(id, attempt)) {
        this.#refuseDuringShutdown();
        return id;
      }
    }
    return "";
  }

  /**
   * Makes the session of a placeholder and resolves once it is live. On failure nothing stays open; the
   * placeholder stays as it was and may be tried again.
   *
   * Throws `session_not_found` or `session_terminated` where the placeholder has gone, before or meanwhile,
   * `session_exists` if the session is there or being made, `too_many_sessions` where this client has as many as
   * it may have, `shutting_down`, or what the factory threw, as "failed to create multi-session: …".
   */
  async createSession(id: string, request: CreateSessionRequest): Promise<S> {
    const sessionId = parseSessionId(id);
    this.#refuseDuringShutdown();
    const creating = this.#beginCreation(sessionId, request);
    try {
      const session = await this.#create(sessionId, request, creating.abort);
      this.#held.set(sessionId, {
        phase: "live",
        session,
        endsUnused: request.endsUnused === true,
      });
      this.#options.onSessionCreated?.(session);
      if (this.#isShuttingDown) await this.#end(session, "shutdown");
      this.#refuseDuringShutdown();
      creating.ready.succeed(session);
      return session;
    } catch (error) {
      this.#endCreation(sessionId, creating, VmcpError.from(error));
      throw error;
    }
  }

  /**
   * Tells whether the session was terminated, and keeps it alive: asking is a sign of life. Throws
   * `invalid_argument` for "" and `session_not_found` for an unknown id.
   */
  async validate(id: string): Promise<{ readonly isTerminated: boolean }> {
    if (id === "") throw new VmcpError("invalid_argument", "empty session ID");
    this.#refuseDuringShutdown();
    const record = await this.#transport.get(id);
    if (record === undefined) throw notFound("session not found");
    return { isTerminated: record.phase === "terminated" };
  }

  /**
   * Ends a session; unknown and terminated ones are no error. A live one is closed first, which waits for its
   * calls in flight, and then forgotten. A placeholder is marked instead, and creation under way is aborted.
   * When it resolves the session answers no more. Throws `invalid_argument` for "" and `store_unavailable`
   * where the record could be neither marked nor deleted.
   */
  async terminate(id: string): Promise<{ readonly isNotAllowed: false }> {
    if (id === "") throw new VmcpError("invalid_argument", "session ID must not be empty");
    const session = this.#live(id);
    if (this.#isShuttingDown) await this.#endAtShutdown(id);
    else if (session !== undefined) await this.#end(session, "client");
    else await untilWon(async () => this.#tryTerminate(id));
    return { isNotAllowed: false };
  }

  /** The live session of that id, noting that it is used. A placeholder is none. The hot path: one lookup. */
  getMultiSession(id: string): S | undefined {
    const held = this.#held.get(id);
    if (held?.phase !== "live" && held?.phase !== "closing") return undefined;
    held.session.touch();
    return held.session;
  }

  /**
   * As `getMultiSession`, but waits for a session that is still being made. Throws `session_not_found` for an
   * unknown id, the reason why creation failed, or the reason of the signal.
   */
  async whenReady(id: string, signal?: AbortSignal): Promise<S> {
    const held = this.#held.get(id);
    if (held === undefined) throw notFound("session not found");
    if (held.phase === "placeholder" || held.phase === "creating") return held.ready.wait(signal);
    held.session.touch();
    return held.session;
  }

  /** The session's tools for a server that runs handlers. Throws `session_not_found` unless it is live. */
  getAdaptedTools(id: string): readonly AdaptedTool[] {
    const session = this.getMultiSession(id);
    if (session === undefined) throw notFound("session not found or not a multi-session");
    return adaptTools(session, this.#options.logger);
  }

  /**
   * Calls the listener once for each session that was live, after it was closed, whatever ended it. It must not
   * throw. Disposing of what comes back ends that.
   */
  onSessionClosed(listener: SessionClosedListener<S>): Disposable {
    this.#closedListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#closedListeners.delete(listener) };
  }

  /** Closes the sessions that nobody uses any more; runs by itself every half of the shortest lifetime. */
  async closeExpired(): Promise<void> {
    await this.#transport.cleanup();
  }

  /**
   * Refuses new sessions, aborts those being made and closes all others, then the storage. Waits for a
   * creation that does not heed its signal up to the drain deadline; it closes itself later. Never rejects.
   */
  async close(): Promise<void> {
    this.#isShuttingDown = true;
    this.#shutdown ??= this.#endAll();
    await this.#shutdown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #storePlaceholder(id: SessionId, attempt: number): Promise<boolean> {
    try {
      await this.#transport.addPlaceholder(id);
      return true;
    } catch (thrown) {
      const error = VmcpError.from(thrown);
      this.#abandon(id, error);
      const fields = { attempt, error: error.message };
      this.#options.logger.warn("could not store a session placeholder", fields);
      return false;
    }
  }

  /** The first check, the making, and the second check, which is the write itself. */
  async #create(id: SessionId, request: CreateSessionRequest, ended: LateSignal): Promise<S> {
    const placeholder = requirePlaceholder(await this.#transport.get(id));
    const session = await makeSession(this.#options, id, request, ended);
    try {
      await publish(this.#transport, placeholder, session.metadata);
      return session;
    } catch (error) {
      await this.#dispose(session);
      throw error;
    }
  }

  #beginCreation(id: SessionId, request: CreateSessionRequest): CreatingSession<S> {
    const abort = withdrawalOf(request) ?? new LateSignal();
    const held = this.#held.get(id);
    if (held !== undefined && held.phase !== "placeholder") {
      throw new VmcpError("session_exists", "session exists already or is being created");
    }
    const ready = held?.ready ?? new Readiness<S>();
    const creating = { phase: "creating", ready, abort } as const;
    if (held === undefined && !this.#hasRoom()) throw noRoom();
    this.#quota.claim(id, request.identity);
    this.#held.set(id, creating);
    return creating;
  }

  /** Those who waited hear of the failure; a placeholder that is still good may be tried again. */
  #endCreation(id: SessionId, creating: CreatingSession<S>, error: VmcpError): void {
    this.#quota.release(id);
    if (this.#held.get(id) === creating) {
      if (isFinal(error)) this.#held.delete(id);
      else this.#held.set(id, { phase: "placeholder", ready: new Readiness() });
    }
    creating.ready.fail(error);
  }

  /** Every session is being ended already: whoever ends one of them waits for no other. */
  async #endAtShutdown(id: string): Promise<void> {
    const held = this.#held.get(id);
    if (held?.phase === "creating") await held.ready.settled(this.#options.drainDeadlineMs);
    await this.#endLive(id, "shutdown");
  }

  /** One attempt to terminate. False means that the session moved on meanwhile and must be looked at again. */
  async #tryTerminate(id: string): Promise<boolean> {
    if (await this.#endLive(id, "client")) return true;
    const record = await this.#transport.peek(id);
    // While the record was read, a creation may have come through.
    if (await this.#endLive(id, "client")) return true;
    if (record?.phase === "placeholder") return this.#terminatePlaceholder(record);
    if (record?.phase === "terminated") {
      this.#abandon(id, terminated("session was terminated during backend init"));
      return true;
    }
    this.#abandon(id, notFound("session placeholder disappeared during backend init"));
    const held = this.#held.get(id);
    if (held?.phase === "creating") {
      // Its write may be done and its session about to go live.
      await held.ready.settled();
      return false;
    }
    return record === undefined || this.#transport.deleteIf(record);
  }

  async #terminatePlaceholder(record: SessionRecord): Promise<boolean> {
    if (!(await markTerminated(this.#transport, record))) return false;
    this.#abandon(record.id, terminated("session was terminated during backend init"));
    this.#terminated.add(record.id);
    if (this.#terminated.size > this.#options.maxSessions) await this.#forgetOldestMark();
    return true;
  }

  /** Ends what waits for a session that will not come: a creation under way is aborted and ends itself. */
  #abandon(id: string, error: VmcpError): void {
    const held = this.#held.get(id);
    if (held?.phase === "creating") held.abort.abort(error);
    if (held?.phase !== "placeholder") return;
    this.#held.delete(id);
    held.ready.fail(error);
  }

  async #forgetOldestMark(): Promise<void> {
    for (const id of this.#terminated) {
      this.#terminated.delete(id);
      await this.#transport.delete(id);
      return;
    }
  }

  /** Closes the session of that id if it is live; joins whoever is closing it already. */
  async #endLive(id: string, end: SessionEnd): Promise<boolean> {
    const held = this.#held.get(id);
    if (held?.phase === "live") await this.#end(held.session, end);
    if (held?.phase === "closing") await held.done;
    return held?.phase === "live" || held?.phase === "closing";
  }

  /** The one way in which a live session ends. Runs once for each session. */
  #end(session: S, end: SessionEnd): Promise<void> {
    const done = this.#closeAndForget(session, end);
    this.#held.set(session.id, { phase: "closing", session, done });
    return done;
  }

  async #closeAndForget(session: S, end: SessionEnd): Promise<void> {
    await this.#dispose(session);
    try {
      await this.#transport.delete(session.id);
    } catch (error) {
      const message = `session was closed, but its record could not be deleted: ${messageOf(error)}`;
      throw new VmcpError("store_unavailable", message, { cause: error });
    } finally {
      this.#held.delete(session.id);
      this.#quota.release(session.id);
      for (const listener of this.#closedListeners) listener(session.id, end, session);
    }
  }

  async #dispose(session: S): Promise<void> {
    try {
      const reason = this.#isShuttingDown ? cutShort() : undefined;
      await (reason && session.close ? session.close(reason) : session[Symbol.asyncDispose]());
    } catch (error) {
      this.#options.logger.warn("a session did not close cleanly", { error: messageOf(error) });
    }
  }

  #live(id: string): S | undefined {
    const held = this.#held.get(id);
    return held?.phase === "live" ? held.session : undefined;
  }

  #isUnused(id: SessionId): boolean {
    const held = this.#held.get(id);
    return held?.phase === "live" && held.endsUnused && held.session.isUnused === true;
  }

  #isActive(id: SessionId, sinceMs: number): boolean {
    const held = this.#held.get(id);
    if (held?.phase !== "live") return held?.phase === "closing";
    return held.session.isBusy || held.session.lastUsedAtMs >= sinceMs;
  }

  async #endExpired(record: SessionRecord): Promise<void> {
    this.#terminated.delete(record.id);
    if (record.phase !== "live") {
      const message = "session placeholder disappeared during backend init (expired)";
      this.#abandon(record.id, notFound(message));
      return;
    }
    const held = this.#held.get(record.id);
    if (held?.phase === "creating") await held.ready.settled();
    const { absoluteTtlMs = Infinity, clock } = this.#options;
    const isOld = record.createdAtMs < clock() - absoluteTtlMs;
    await this.#endLive(record.id, isOld ? "absolute" : "idle");
  }

  async #endAll(): Promise<void> {
    const ends = [...this.#held.entries()].map(async ([id, held]) => {
      this.#abandon(id, shuttingDown());
      if (held.phase === "creating") await held.ready.settled(this.#options.drainDeadlineMs);
      if (!(await this.#endLive(id, "shutdown"))) await this.#transport.delete(id);
    });
    const outcomes = await Promise.allSettled(ends);
    outcomes.push(...(await Promise.allSettled([this.#transport.stop()])));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const error = messageOf(outcome.reason);
      this.#options.logger.warn("could not end a session at shutdown", { error });
    }
  }

  #hasRoom(): boolean {
    return this.#held.size - this.#leaving < this.#options.maxSessions;
  }

  /** Ends the idle session that has to make room; its place is free at once. Throws where none may go. */
  #evict(): Promise<void> {
    const session = this.#idle.take();
    if (session === undefined) throw noRoom();
    this.#leaving += 1;
    return this.#leave(session);
  }

  async #leave(session: S): Promise<void> {
    try {
      await this.#end(session, "evicted");
    } catch (error) {
      this.#options.logger.warn("an idle session did not end cleanly", { error: messageOf(error) });
    } finally {
      this.#leaving -= 1;
    }
  }

  #refuseDuringShutdown(): void {
    if (this.#isShuttingDown) throw shuttingDown();
  }
}

function noRoom(): VmcpError {
  return new VmcpError(
    "too_many_sessions",
    "There is no room for another session at the moment: try again later",
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

function shuttingDown(): VmcpError {
  return new VmcpError("shutting_down", "The gateway is shutting down: connect again later", {
    executionState: "not_executed",
  });
}

/** What calls end with that take longer than the gateway can wait. */
function cutShort(): VmcpError {
  return new VmcpError("shutting_down", "The gateway shut down before the answer was there", {
    executionState: "unknown",
  });
}
