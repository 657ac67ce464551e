import { VmcpError, type VmcpErrorDetails } from "../../domain/errors.ts";

/** That there are no credentials for a backend; nothing was sent to it. The sentence goes on after its name. */
export function credentialsError(
  backend: string,
  sentence: string,
  details: Pick<VmcpErrorDetails, "cause" | "reason" | "retryAfterSeconds"> = {},
): VmcpError {
  return new VmcpError("backend_auth", `Backend "${backend}" ${sentence}`, {
    ...details,
    backend,
    executionState: "not_executed",
  });
}
