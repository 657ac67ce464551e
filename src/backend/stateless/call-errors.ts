import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject } from "../../domain/json.ts";
import { INTERNAL_ERROR, INVALID_REQUEST, type JsonRpcError } from "../../mcp/json-rpc.ts";
import { backendError } from "../node-errors.ts";

/** Text of a client or backend that stands in one of our messages stays short. */
const MAX_QUOTED_CHARS = 128;

/** The backend was replaced by one that speaks otherwise: it refused the request for that, and never ran it. */
export function otherRevision(backend: string): VmcpError {
  const sentence = "no longer speaks the revision of MCP that it spoke";
  return backendError(backend, "backend_session_lost", sentence, {
    executionState: "not_executed",
  });
}

/** The same error of a call that had been answered with questions before: some of it may have run. */
export function mayHaveRun(error: VmcpError): VmcpError {
  if (error.executionState !== "not_executed") return error;
  const { code, message, cause, backend, retryAfterSeconds, exit } = error;
  return new VmcpError(code, message, {
    cause,
    executionState: "unknown",
    ...(backend !== undefined && { backend }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(exit !== undefined && { exit }),
  });
}

/** What a client gets whose own error kept a call from going on. */
export function inputRefused(backend: string, { code, message }: JsonRpcError): JsonRpcError {
  const reason = message.slice(0, MAX_QUOTED_CHARS);
  return {
    code: INTERNAL_ERROR,
    message: `The client did not give what backend "${backend}" asked it for: ${reason}`,
    data: { backend, clientError: { code } },
  };
}

/** What a client of a session gets for a backend's word that the client lacks something. */
export function needsCapability(backend: string, { data }: JsonRpcError): JsonRpcError {
  const required = isJsonObject(data) ? data["requiredCapabilities"] : undefined;
  const names = isJsonObject(required) ? Object.keys(required).slice(0, 8) : [];
  const what = names.length === 0 ? "more" : names.join(", ").slice(0, MAX_QUOTED_CHARS);
  return {
    code: INVALID_REQUEST,
    message: `Backend "${backend}" needs a client that offers ${what}; this one does not`,
    data: { backend, ...(isJsonObject(required) && { requiredCapabilities: required }) },
  };
}
