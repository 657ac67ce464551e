import type { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";

/**
 * Hears how every use of one backend ended, and refuses uses that would only fail again.
 *
 * A use is a call or an attempt to connect, of whichever session. Each `admit` that returned is followed by
 * exactly one of `succeeded`, `failed` and `withdrawn`.
 */
export interface BackendGuard {
  /** Whether the backend failed so often of late that nobody should wait for it. */
  readonly isDoubtful: boolean;
  /** Throws `backend_unreachable`, `not_executed`, with `retryAfterSeconds`, while the backend is held back. */
  admit(): void;
  /** The backend answered, be it with an error of its own. */
  succeeded(): void;
  failed(error: VmcpError): void;
  /** The use ended before it could tell anything of the backend, say because the client cancelled it. */
  withdrawn(): void;
}

/**
 * The guard of the backend that has this name now. Whoever asks keeps it: once a reload has given the name to
 * another backend, what becomes of the old one says nothing of the new one.
 */
export type GuardOf = (backend: BackendName) => BackendGuard;

/** Lets everything through. */
export const NO_GUARD: BackendGuard = {
  isDoubtful: false,
  admit() {},
  succeeded() {},
  failed() {},
  withdrawn() {},
};
