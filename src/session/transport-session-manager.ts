import { messageOf, VmcpError } from "../domain/errors.ts";
import { parseSessionId } from "../domain/ids.ts";
import type { SessionId } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { SessionPhase, SessionRecord } from "./session-record.ts";
import type { SessionStorage } from "./session-storage.ts";

export interface TransportSessionManagerOptions {
  readonly storage: SessionStorage;
  /** A record that nobody asked for this long is due. */
  readonly idleTtlMs: number;
  /** A record whose session nobody ever used is due after this long, if that is shorter. Default: it is not. */
  readonly unusedTtlMs?: number;
  /** A record this old is due, however busy. Default: no limit. */
  readonly absoluteTtlMs?: number;
  /** Milliseconds since the epoch. It must not jump: a step of the system's clock would end every session. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** Whether nobody ever used the record's session. Default: somebody did. */
  readonly isUnused?: (id: SessionId) => boolean;
  /** Whether an idle record's session is busy or was used since then all the same; it then stays. Default: never. */
  readonly isActive?: (id: SessionId, sinceMs: number) => boolean;
  /** Called once for each record that expired, after it was removed; closes what belongs to it. */
  readonly onExpired?: (record: SessionRecord) => Promise<void>;
}

/** What a conditional replacement changes; everything else of the record stays. */
export interface RecordChange {
  readonly phase: SessionPhase;
  readonly metadata: Readonly<Record<string, string>>;
}

/** `setInterval` fires at once for anything longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Keeps the records of transport sessions and removes those that nobody uses any more.
 *
 * It owns the storage and one timer, which does not keep the process alive. Failures of the storage
 * reject as the storage threw them.
 */
export class TransportSessionManager {
  readonly #options: TransportSessionManagerOptions;
  readonly #timer: NodeJS.Timeout;
  #cleaning: Promise<void> | undefined;

  constructor(options: TransportSessionManagerOptions) {
    requirePositive("idleTtlMs", options.idleTtlMs);
    requirePositive("absoluteTtlMs", options.absoluteTtlMs ?? Infinity);
    this.#options = options;
    requirePositive("unusedTtlMs", options.unusedTtlMs ?? Infinity);
    const { idleTtlMs, unusedTtlMs = Infinity, absoluteTtlMs = Infinity } = options;
    const shortestMs = Math.min(idleTtlMs, unusedTtlMs, absoluteTtlMs);
    this.#timer = setInterval(
      () => void this.#cleanInBackground(),
      Math.min(Math.ceil(shortestMs / 2), MAX_TIMER_MS),
    );
    this.#timer.unref();
  }

  /** Adds a placeholder. Throws `invalid_argument` for a malformed id, `session_exists` for a known one. */
  async addWithId(id: string): Promise<void> {
    await this.addPlaceholder(parseSessionId(id));
  }

  /** As `addWithId`, for an id that was made here. */
  async addPlaceholder(id: SessionId): Promise<void> {
    const nowMs = this.#options.clock();
    const placeholder: SessionRecord = {
      id,
      phase: "placeholder",
      generation: 1,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      metadata: NO_METADATA,
    };
    if (!(await this.#options.storage.insert(placeholder))) throw exists();
  }

  /** Adds a record. Throws `invalid_argument` without a record or id, `session_exists` for a known id. */
  async addSession(record: SessionRecord | undefined): Promise<void> {
    const checked = requireRecord(record);
    if (!(await this.#options.storage.insert(checked))) throw exists();
  }

  /** Finds a record and keeps it from expiring: asking is a sign of life. */
  get(id: string): Promise<SessionRecord | undefined> {
    return this.#options.storage.touch(id, this.#options.clock());
  }

  /** Finds a record and leaves its age as it is. */
  peek(id: string): Promise<SessionRecord | undefined> {
    return this.#options.storage.load(id);
  }

  /**
   * Inserts the record or replaces whatever is there, whichever phase either has. Throws `invalid_argument`
   * without a record or id. Where two may write, use `replaceIf`.
   */
  async replaceSession(record: SessionRecord | undefined): Promise<void> {
    await this.#options.storage.store(requireRecord(record));
  }

  /** Changes the record if nobody replaced it since `seen` was read. Tells whether it did. */
  replaceIf(
    { id, generation, createdAtMs }: SessionRecord,
    { phase, metadata }: RecordChange,
  ): Promise<boolean> {
    const updatedAtMs = this.#options.clock();
    const next = { id, phase, generation, createdAtMs, updatedAtMs, metadata };
    return this.#options.storage.compareAndSwap(generation, next);
  }

  /** Removes a record; an unknown id is no error. Tells whether there was one. */
  delete(id: string): Promise<boolean> {
    return this.#options.storage.remove(id);
  }

  /** Removes the record if nobody replaced it since `seen` was read. Tells whether it did. */
  deleteIf(seen: SessionRecord): Promise<boolean> {
    return this.#options.storage.removeIf(seen.id, seen.generation);
  }

  /** Shows each record, as of one instant, until `visit` returns false. */
  async range(visit: (record: SessionRecord) => boolean): Promise<void> {
    for (const record of await this.#options.storage.list()) {
      if (!visit(record)) return;
    }
  }

  async count(): Promise<number> {
    return this.#options.storage.count();
  }

  /** Removes what expired, and nothing else; resolves with how many once each `onExpired` is done. */
  async cleanup(): Promise<number> {
    const { clock, idleTtlMs, storage } = this.#options;
    const { unusedTtlMs = Infinity, absoluteTtlMs = Infinity } = this.#options;
    const nowMs = clock();
    const updatedBeforeMs = nowMs - Math.min(idleTtlMs, unusedTtlMs);
    const createdBeforeMs = nowMs - absoluteTtlMs;
    const due = await storage.listExpired({ updatedBeforeMs, createdBeforeMs });
    const removals = await Promise.allSettled(
      due.map(async (record) =>
        record.createdAtMs < createdBeforeMs
          ? this.#expire(record)
          : this.#expireIdle(record, nowMs),
      ),
    );
    for (const removal of removals) {
      if (removal.status === "rejected") this.#warn(removal.reason);
    }
    return removals.filter((removal) => removal.status === "fulfilled" && removal.value).length;
  }

  /** Ends the worker, waits for a cleanup under way and closes the storage. Safe to repeat. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#cleaning;
    await this.#options.storage.close();
  }

  async #cleanInBackground(): Promise<void> {
    if (this.#cleaning !== undefined) return;
    this.#cleaning = this.#cleanAndLog();
    await this.#cleaning;
    this.#cleaning = undefined;
  }

  async #cleanAndLog(): Promise<void> {
    try {
      await this.cleanup();
    } catch (error) {
      this.#warn(error);
    }
  }

  async #expireIdle(record: SessionRecord, nowMs: number): Promise<boolean> {
    const { idleTtlMs, unusedTtlMs = Infinity, isUnused, isActive } = this.#options;
    const isEarly = isUnused?.(record.id) === true;
    const sinceMs = nowMs - (isEarly ? Math.min(idleTtlMs, unusedTtlMs) : idleTtlMs);
    if (record.updatedAtMs >= sinceMs || isActive?.(record.id, sinceMs) === true) return false;
    return this.#expire(record, sinceMs);
  }

  /** A record that was replaced or touched since it was listed has found a new owner or a new life. */
  async #expire(record: SessionRecord, untouchedSinceMs?: number): Promise<boolean> {
    const { storage, onExpired } = this.#options;
    if (!(await storage.removeIf(record.id, record.generation, untouchedSinceMs))) return false;
    await onExpired?.(record);
    return true;
  }

  #warn(error: unknown): void {
    this.#options.logger.warn("could not remove an expired session", { error: messageOf(error) });
  }
}

const NO_METADATA: SessionRecord["metadata"] = Object.freeze({});

function exists(): VmcpError {
  return new VmcpError("session_exists", "A session with this ID exists already");
}

function requireRecord(record: SessionRecord | undefined): SessionRecord {
  if (record === undefined) {
    throw new VmcpError("invalid_argument", "session record cannot be undefined");
  }
  if (record.id === "") throw new VmcpError("invalid_argument", "session ID cannot be empty");
  return record;
}

function requirePositive(option: string, valueMs: number): void {
  if (valueMs > 0) return;
  throw new VmcpError("invalid_argument", `${option} must be more than 0 milliseconds`);
}
