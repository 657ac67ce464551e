import { VmcpError } from "../../domain/errors.ts";
import type { SessionRecord } from "../session-record.ts";
import type { ExpiryLimits, SessionStorage } from "../session-storage.ts";

/** Keeps the records of one process in its memory; they end with it. */
export class MemoryStorage implements SessionStorage {
  readonly #records = new Map<string, SessionRecord>();
  #isClosed = false;

  async load(id: string): Promise<SessionRecord | undefined> {
    return this.#open().get(id);
  }

  async touch(id: string, atMs: number): Promise<SessionRecord | undefined> {
    const record = this.#open().get(id);
    if (record === undefined || record.updatedAtMs >= atMs) return record;
    return this.#keep(record, record.generation, atMs, record.metadata);
  }

  async insert(record: SessionRecord): Promise<boolean> {
    if (this.#open().has(record.id)) return false;
    this.#write(record, 1);
    return true;
  }

  async store(record: SessionRecord): Promise<void> {
    this.#write(record, (this.#open().get(record.id)?.generation ?? 0) + 1);
  }

  async compareAndSwap(expectedGeneration: number, next: SessionRecord): Promise<boolean> {
    if (this.#open().get(next.id)?.generation !== expectedGeneration) return false;
    this.#write(next, expectedGeneration + 1);
    return true;
  }

  async remove(id: string): Promise<boolean> {
    return this.#open().delete(id);
  }

  async removeIf(id: string, generation: number, untouchedSinceMs?: number): Promise<boolean> {
    const record = this.#open().get(id);
    if (record?.generation !== generation) return false;
    if (untouchedSinceMs !== undefined && record.updatedAtMs >= untouchedSinceMs) return false;
    return this.#records.delete(id);
  }

  async list(): Promise<readonly SessionRecord[]> {
    return [...this.#open().values()];
  }

  async listExpired(limits: ExpiryLimits): Promise<readonly SessionRecord[]> {
    return [...this.#open().values()].filter(
      (record) =>
        record.updatedAtMs < limits.updatedBeforeMs || record.createdAtMs < limits.createdBeforeMs,
    );
  }

  async count(): Promise<number> {
    return this.#open().size;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#records.clear();
  }

  /** Whoever stored a record keeps no way to change it. */
  #write(record: SessionRecord, generation: number): void {
    const { metadata } = record;
    const kept = Object.isFrozen(metadata) ? metadata : Object.freeze({ ...metadata });
    this.#keep(record, generation, record.updatedAtMs, kept);
  }

  /** Spelled out and not spread: records made alike share a shape in V8, which would weigh more than they do. */
  #keep(
    { id, phase, createdAtMs }: SessionRecord,
    generation: number,
    updatedAtMs: number,
    metadata: SessionRecord["metadata"],
  ): SessionRecord {
    const record = Object.freeze({ id, phase, generation, createdAtMs, updatedAtMs, metadata });
    this.#records.set(id, record);
    return record;
  }

  #open(): Map<string, SessionRecord> {
    if (this.#isClosed) throw new VmcpError("store_unavailable", "The session store is closed");
    return this.#records;
  }
}
