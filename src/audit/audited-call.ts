import type { VmcpError, VmcpErrorCode } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { beginningOf, type AuditEvent, type AuditOutcome } from "./audit-record.ts";

/** An answer of a backend: its bytes and the one reading of them. */
export interface AuditedAnswer {
  readonly bytes: Buffer;
  readonly message: {
    readonly result?: JsonObject;
    readonly error?: { readonly code: number };
  };
}

/** The same for all calls. */
export interface AuditedCallOptions {
  readonly includeResponseData: boolean;
  readonly detectApplicationErrors: boolean;
  readonly maxDataSize: number;
  readonly record: (event: AuditEvent) => void;
}

type AboutCall = Pick<AuditEvent, "type" | "source" | "subjects" | "target">;

/** What was refused by the gateway and might have been done at another time or by somebody else. */
const DENIALS: ReadonlySet<VmcpErrorCode> = new Set([
  "forbidden_host",
  "overloaded",
  "insufficient_scope",
  "policy_denied",
  "rate_limited",
  "too_many_sessions",
]);

/** One request of which the beginning is recorded: exactly one of its ends is recorded too, the first one told. */
export class AuditedCall {
  readonly #about: AboutCall;
  readonly #callId: string;
  readonly #options: AuditedCallOptions;
  readonly #beganAtMs = performance.now();
  #isOver = false;

  constructor(callId: string, about: AboutCall, options: AuditedCallOptions) {
    this.#callId = callId;
    this.#about = about;
    this.#options = options;
  }

  answered({ bytes, message }: AuditedAnswer, backend: string | undefined): void {
    const { result, error } = message;
    const data = this.#options.includeResponseData
      ? { response: this.#clip(bytes, result ?? {}) }
      : undefined;
    if (error === undefined) this.#end(this.#outcomeOf(result), { backend }, data);
    else
      this.#end("failure", { backend, error_kind: "backend_error", error_code: error.code }, data);
  }

  failed(error: VmcpError, backend?: string): void {
    const { executionState, backend: failing, reason } = error;
    const code = codeOnRecord(error);
    this.#end(outcomeOfError(code), {
      backend: failing ?? backend,
      error_kind: code,
      execution_state: executionState,
      reason,
    });
  }

  /** Nobody waits for the answer any more. */
  cancelled(backend: string | undefined): void {
    this.#end("failure", { backend, error_kind: "cancelled", execution_state: "unknown" });
  }

  #end(
    outcome: AuditOutcome,
    facts: Readonly<Record<string, string | number | undefined>>,
    data?: JsonObject,
  ): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const durationMs = Math.round((performance.now() - this.#beganAtMs) * 1_000) / 1_000;
    const extra = { phase: "end", call_id: this.#callId, duration_ms: durationMs, ...facts };
    this.#options.record({ ...this.#about, outcome, extra, data });
  }

  #outcomeOf(result: JsonObject | undefined): AuditOutcome {
    const isError = this.#options.detectApplicationErrors && result?.["isError"] === true;
    return isError ? "application_error" : "success";
  }

  /** What is too long is not written out only to be cut: the beginning of its message stands for it. */
  #clip(bytes: Buffer, result: JsonObject): JsonObject | string {
    const { maxDataSize } = this.#options;
    return bytes.length <= maxDataSize ? result : beginningOf(bytes, maxDataSize);
  }
}

/** A name that was denied reads to its client like one that nobody offers; here it is told apart by its reason. */
function codeOnRecord({ code, reason }: VmcpError): VmcpErrorCode {
  return code === "capability_not_found" && reason !== undefined ? "policy_denied" : code;
}

/** The outcome of what ended with this error. */
export function outcomeOfError(code: VmcpErrorCode): AuditOutcome {
  return DENIALS.has(code) ? "denied" : "failure";
}
