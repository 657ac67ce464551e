import type { SessionRecord } from "./session-record.ts";

/** Which records are due: idle since before the one time, or made before the other. */
export interface ExpiryLimits {
  readonly updatedBeforeMs: number;
  readonly createdBeforeMs: number;
}

/**
 * Keeps session records by id.
 *
 * A record is immutable and replaced as a whole. The storage stamps `generation`, whatever the given record
 * says: 1 when a record is inserted, one more at each replacement. Touching is no replacement. Every method
 * takes effect at one instant, and rejects when the storage fails or is closed; a change that rejects may
 * have been made nevertheless.
 */
export interface SessionStorage {
  load(id: string): Promise<SessionRecord | undefined>;
  /** Loads and moves `updatedAtMs` to `atMs`, never backwards. Undefined where there is no such record. */
  touch(id: string, atMs: number): Promise<SessionRecord | undefined>;
  /** Adds a record unless there is one of that id. Tells whether it did. */
  insert(record: SessionRecord): Promise<boolean>;
  /** Inserts or replaces, whatever was there. */
  store(record: SessionRecord): Promise<void>;
  /** Replaces the record of the same id if its generation is the expected one. Tells whether it did. */
  compareAndSwap(expectedGeneration: number, next: SessionRecord): Promise<boolean>;
  /** Tells whether there was such a record. */
  remove(id: string): Promise<boolean>;
  /**
   * Removes the record if its generation is still `generation` and, where `untouchedSinceMs` is given, its
   * `updatedAtMs` is before that time. Tells whether it did.
   */
  removeIf(id: string, generation: number, untouchedSinceMs?: number): Promise<boolean>;
  /** Every record, in no particular order, as of one instant. */
  list(): Promise<readonly SessionRecord[]>;
  /** The records that lie strictly beyond one limit or the other. */
  listExpired(limits: ExpiryLimits): Promise<readonly SessionRecord[]>;
  count(): Promise<number>;
  /** Lets go of everything. Safe to repeat. */
  close(): Promise<void>;
}
