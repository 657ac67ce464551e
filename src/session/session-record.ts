import type { SessionId } from "../domain/ids.ts";

/** Where a session stands. Every change is one conditional write on the record. */
export type SessionPhase = "placeholder" | "live" | "terminated";

/**
 * The small, serialisable half of a session: immutable, replaced as a whole.
 *
 * `generation` grows with every replacement, so that a conditional write can tell whether anything happened
 * in between. The live half, with its connections, belongs to one process and is never stored.
 */
export interface SessionRecord {
  readonly id: SessionId;
  readonly phase: SessionPhase;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}
