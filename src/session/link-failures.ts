import { messageOf, VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Rest } from "./restarts.ts";

export function startTimeout(backend: BackendName, timeoutMs: number): VmcpError {
  return new VmcpError("backend_timeout", `it did not start within ${timeoutMs} ms`, {
    backend,
    executionState: "not_executed",
  });
}

/** The failure that is still fresh, with the time that is left of it. */
export function retryIn(waitMs: number, error: VmcpError): VmcpError {
  return sameFailure(error, error.message, Math.max(1, Math.ceil(waitMs / 1_000)));
}

/** The failure of a backend whose process ended too often, with why it is not started again. */
export function budgetSpent(
  error: VmcpError,
  { ends, windowMs }: NonNullable<Rest["spent"]>,
): VmcpError {
  const rests = `it ended ${ends} times within ${windowMs / 1_000} s and rests before its next start`;
  return sameFailure(error, `${error.message.slice(0, 200)}; ${rests}`, error.retryAfterSeconds);
}

/** The same end, for a call of which nothing has left yet. */
export function neverSent(error: VmcpError): VmcpError {
  return sameFailure(error, error.message, error.retryAfterSeconds);
}

/** Nothing of a call has left that meets a failure from before. */
function sameFailure(
  { code, cause, backend, exit, data }: VmcpError,
  message: string,
  retryAfterSeconds: number | undefined,
): VmcpError {
  return new VmcpError(code, message, {
    cause,
    executionState: "not_executed",
    ...(backend !== undefined && { backend }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(exit !== undefined && { exit }),
    ...(data !== undefined && { data }),
  });
}

/** Nothing was sent to a backend that could not be connected, whatever went wrong on the way. */
export function toUnavailable(backend: BackendName, thrown: unknown): VmcpError {
  const known = thrown instanceof VmcpError ? thrown : undefined;
  const reason = messageOf(thrown).slice(0, 200);
  const message = reason.startsWith(`Backend "${backend}"`)
    ? reason
    : `Backend "${backend}" is unavailable: ${reason}`;
  return new VmcpError(known?.code ?? "backend_unreachable", message, {
    cause: thrown,
    backend,
    executionState: "not_executed",
    ...(known?.retryAfterSeconds !== undefined && { retryAfterSeconds: known.retryAfterSeconds }),
    ...(known?.exit !== undefined && { exit: known.exit }),
    ...(known?.data !== undefined && { data: known.data }),
  });
}
