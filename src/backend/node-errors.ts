import type { BackendFailureCode, ExecutionState, VmcpErrorDetails } from "../domain/errors.ts";
import { VmcpError } from "../domain/errors.ts";
import { ADDRESS_REFUSED } from "../lib/checked-lookup.ts";

/** An error that names its backend first, as every message about one does. */
export function backendError(
  backend: string,
  code: VmcpError["code"],
  sentence: string,
  details: Omit<VmcpErrorDetails, "backend"> & { readonly executionState: ExecutionState },
): VmcpError {
  return new VmcpError(code, `Backend "${backend}" ${sentence}`, { ...details, backend });
}

/** How far a request had come when its socket or pipe broke. */
export interface Reach {
  /** Whether any byte of the request may have left. */
  readonly isWritten: boolean;
  readonly isTls: boolean;
}

/**
 * Translates an error of node or of the HTTP client, by its code or class; message texts are never read.
 *
 * What broke before a byte left is `not_executed`; everything later is `unknown`. A broken handshake counts
 * as `backend_tls` even where the system only says that the connection was reset.
 */
export function toConnectionError(backend: string, thrown: unknown, reach: Reach): VmcpError {
  // What was found out before the request left, such as that there are no credentials for it, is known already.
  if (thrown instanceof VmcpError && thrown.backend !== undefined) return thrown;
  const code = codeOf(thrown);
  const executionState = reach.isWritten ? "unknown" : "not_executed";
  const failure = classify(code, reach);
  const shown = code === "" ? "" : ` (${code})`;
  const sentence = SENTENCES_OF_CODES[code] ?? SENTENCES[failure];
  return backendError(backend, failure, `${sentence}${shown}`, {
    executionState,
    cause: thrown,
  });
}

/** The `code` of a system or library error, or "" where it has none. */
export function codeOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return "";
  return typeof thrown.code === "string" && PLAIN_CODE.test(thrown.code) ? thrown.code : "";
}

type ConnectionFailure = Extract<
  BackendFailureCode,
  "backend_unreachable" | "backend_tls" | "backend_closed" | "backend_protocol"
>;

const SENTENCES: Readonly<Record<ConnectionFailure, string>> = {
  backend_unreachable: "cannot be reached",
  backend_tls: "cannot be reached securely: its certificate or TLS handshake is not acceptable",
  backend_closed: "closed the connection before it answered",
  backend_protocol: "answered with something that is not HTTP",
};

const SENTENCES_OF_CODES: Readonly<Record<string, string | undefined>> = {
  [ADDRESS_REFUSED]:
    "cannot be reached: its name leads to an address that it must not lead to; restart the gateway if it has moved into the inner network",
  ERR_INVALID_REQUEST:
    "cannot be asked: the path, the host or a header of the request holds what HTTP does not allow there, such as a line break",
};

const PLAIN_CODE = /^[A-Z0-9_]{1,64}$/;

/** Codes of OpenSSL's certificate checks that share no prefix. */
const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
]);

/** The errors of a handshake that the other side broke off: no TLS code, because TLS never came to be. */
const BROKEN_HANDSHAKE_CODES: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "EPROTO"]);

const PROTOCOL_CODES: ReadonlySet<string> = new Set([
  "ERR_MALFORMED_RESPONSE",
  "ERR_RESPONSE_HEAD_TOO_LARGE",
]);

function classify(code: string, { isWritten, isTls }: Reach): ConnectionFailure {
  if (isTlsCode(code)) return "backend_tls";
  if (isTls && !isWritten && BROKEN_HANDSHAKE_CODES.has(code)) return "backend_tls";
  if (PROTOCOL_CODES.has(code)) return "backend_protocol";
  return isWritten ? "backend_closed" : "backend_unreachable";
}

function isTlsCode(code: string): boolean {
  return (
    code.startsWith("ERR_TLS_") ||
    code.startsWith("ERR_SSL_") ||
    code.startsWith("CERT_") ||
    code.startsWith("CRL_") ||
    CERTIFICATE_CODES.has(code)
  );
}
