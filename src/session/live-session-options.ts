import type { SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { ArgumentCheck } from "./argument-check.ts";
import type { ClientProfile, SessionBackend } from "./backend-connection.ts";
import type { GuardOf } from "./backend-guard.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { CallLimits } from "./call-limits.ts";
import type { Catalogues } from "./catalogues.ts";
import type { Views } from "./view.ts";

/** What of a live session the configuration decides: replaced as a whole while the session lives. */
export interface SessionConfiguration {
  /** A backend that is the same object as before keeps its connection. */
  readonly backends: readonly SessionBackend[];
  readonly views: Pick<Views, "of">;
  readonly startTimeoutMs: number;
  readonly drainDeadlineMs: number;
  readonly clientAnswerTimeoutMs: number;
  readonly maxCallsInFlight: number;
  readonly argumentCheck: ArgumentCheck;
}

/** What a live session is made of, and what it shares with the others of its factory. */
export interface LiveSessionOptions extends SessionConfiguration {
  readonly id: SessionId;
  readonly identity: Identity;
  readonly client: ClientProfile;
  readonly catalogues: Catalogues;
  /** Permits of the whole process to connect to a backend. */
  readonly processSlots: Semaphore;
  /** Permits of the whole process to connect to each backend. */
  readonly backendSlots: BackendSlots;
  /** Permits of this session to connect to a backend. */
  readonly sessionSlots: Semaphore;
  /** Shared by all sessions. */
  readonly callLimits: CallLimits;
  /** Asked once for each link that is made. */
  readonly guardOf: GuardOf;
  /** Called once, when the session has closed everything. */
  readonly onClosed?: () => void;
  readonly now: () => number;
  readonly logger: Logger;
}
