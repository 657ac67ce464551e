import { type ExecutionState, VmcpError } from "../domain/errors.ts";
import type { ClockExpiry } from "./call-clock.ts";
import { backendError } from "./node-errors.ts";

export function expiryError(
  backend: string,
  expiry: ClockExpiry,
  afterMs: number,
  executionState: ExecutionState,
): VmcpError {
  const sentence =
    expiry === "backend_timeout"
      ? `did not answer within ${afterMs / 1_000} s`
      : `waited ${afterMs / 1_000} s for the client to answer its request`;
  return backendError(backend, expiry, sentence, { executionState });
}

/** The configured URL leads to something else; `answered` is its status and media type, nothing of its body. */
export function notMcpError(
  backend: string,
  transport: "streamable HTTP" | "HTTP+SSE",
  answered: string,
  cause: unknown,
): VmcpError {
  const sentence = `at its configured URL does not speak MCP over ${transport} (answered ${answered})`;
  return backendError(backend, "backend_protocol", sentence, {
    executionState: "not_executed",
    cause,
  });
}

/** The gateway itself gives up the connection while a call is under way on it. */
export function closedByGatewayError(backend: string, isWritten: boolean): VmcpError {
  return backendError(
    backend,
    "session_closed",
    "was left before it answered: the session is closed",
    {
      executionState: isWritten ? "unknown" : "not_executed",
    },
  );
}

/** The backend has forgotten the session that the call went by; the client's own session goes on. */
export function forgottenError(backend: string, isWritten: boolean): VmcpError {
  return backendError(backend, "backend_closed", "forgot its session before it answered", {
    executionState: isWritten ? "unknown" : "not_executed",
  });
}

/** The same error, for a request of which it is certain that the backend never saw any of it. */
export function notExecuted(error: VmcpError): VmcpError {
  if (error.executionState === "not_executed") return error;
  const { code, message, cause, backend, retryAfterSeconds, exit } = error;
  return new VmcpError(code, message, {
    cause,
    executionState: "not_executed",
    ...(backend !== undefined && { backend }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(exit !== undefined && { exit }),
  });
}
