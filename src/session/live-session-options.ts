import type { SessionId } from "../domain/ids.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { AdmissionRules } from "./admission.ts";
import type { ArgumentCheck } from "./argument-check.ts";
import type { ClientProfile, SessionBackend } from "./backend-connection.ts";
import type { GuardOf } from "./backend-guard.ts";
import type { IntroducedAs } from "./introduced.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { CallLimits } from "./call-limits.ts";
import type { Catalogues } from "./catalogues.ts";
import type { ShownCapabilities } from "./shown-capabilities.ts";
import type { Views } from "./view.ts";

/**
 * What of live sessions the configuration decides: one object for all who have it, replaced as a whole while they
 * live.
 */
export interface SessionConfiguration {
  /** A backend that is the same object as before keeps its connection. */
  readonly backends: readonly SessionBackend[];
  readonly views: Pick<Views, "of">;
  readonly startTimeoutMs: number;
  readonly drainDeadlineMs: number;
  readonly clientAnswerTimeoutMs: number;
  readonly maxCallsInFlight: number;
  /** Backends that one session connects to at once. */
  readonly maxStartConcurrency: number;
  readonly argumentCheck: ArgumentCheck;
  /** Default: as it introduced itself. */
  readonly introducedAs?: IntroducedAs | undefined;
  readonly admission: AdmissionRules;
  /** What of a view each identity sees, by the policy of `admission`. */
  readonly shown: Pick<ShownCapabilities, "of">;
}

/** What a live session shares with all others of its factory, whatever is configured. */
export interface SessionSurroundings {
  readonly catalogues: Catalogues;
  /** Permits of the whole process to connect to a backend. */
  readonly processSlots: Semaphore;
  /** Permits of the whole process to connect to each backend. */
  readonly backendSlots: BackendSlots;
  readonly callLimits: CallLimits;
  /** Asked once for each link that is made. */
  readonly guardOf: GuardOf;
  /** Called once for each session, with its number, when it has closed everything. */
  readonly onClosed?: (number: number) => void;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What a live session is made of. */
export interface LiveSessionOptions {
  readonly id: SessionId;
  /** Tells it from another session of the same id, one of which still closes. */
  readonly number: number;
  readonly identity: Identity;
  readonly client: ClientProfile;
  /** See `clientKindOf`. */
  readonly clientKind: string;
  readonly configuration: SessionConfiguration;
  readonly around: SessionSurroundings;
}
