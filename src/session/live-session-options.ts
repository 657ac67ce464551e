import type { SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { ClientProfile, SessionBackend } from "./backend-connection.ts";
import type { CallLimits } from "./call-limits.ts";
import type { Catalogues } from "./catalogues.ts";
import type { Views } from "./view.ts";

/** What a live session is made of, and what it shares with the others of its factory. */
export interface LiveSessionOptions {
  readonly id: SessionId;
  readonly identity: Identity;
  readonly client: ClientProfile;
  readonly backends: readonly SessionBackend[];
  readonly catalogues: Catalogues;
  readonly views: Pick<Views, "of">;
  /** Permits of the whole process to connect to a backend. */
  readonly processSlots: Semaphore;
  /** Permits of this session to connect to a backend. */
  readonly sessionSlots: Semaphore;
  readonly startTimeoutMs: number;
  readonly drainDeadlineMs: number;
  readonly clientAnswerTimeoutMs: number;
  readonly maxCallsInFlight: number;
  /** Shared by all sessions. */
  readonly callLimits: CallLimits;
  readonly now: () => number;
  readonly logger: Logger;
}
