import type { VmcpError, VmcpErrorCode } from "../domain/errors.ts";
import type { BackendGuard } from "./backend-guard.ts";

/** Refusals of the gateway itself, made before the backend could show how it is. */
const OWN_REFUSALS: ReadonlySet<VmcpErrorCode> = new Set(["backend_busy", "backend_error"]);

/**
 * Tells the guard of a use that ended without an answer: `failed` where the backend is to blame, `withdrawn`
 * where the client or the gateway ended it.
 */
export function tellFailure(guard: BackendGuard, error: VmcpError): void {
  const isBackendsFault = error.code.startsWith("backend_") && !OWN_REFUSALS.has(error.code);
  if (isBackendsFault) guard.failed(error);
  else guard.withdrawn();
}
