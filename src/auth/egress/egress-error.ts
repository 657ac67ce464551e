import { ADDRESS_REFUSED } from "../../lib/checked-lookup.ts";
import { messageOf } from "../../domain/errors.ts";

/**
 * Why there is no answer: `refused` is our own refusal to ask, `unreachable` covers names, sockets and TLS, the
 * others speak of the answer.
 */
export type EgressFailure = "refused" | "unreachable" | "timeout" | "too_large" | "protocol";

/** A question of authorization that got no answer. Its message is for logs: it may tell of internal hosts. */
export class EgressError extends Error {
  override readonly name = "EgressError";
  readonly failure: EgressFailure;

  constructor(failure: EgressFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
  }

  /** Keeps an `EgressError`, and takes anything else for the failure of a connection. */
  static from(thrown: unknown): EgressError {
    if (thrown instanceof EgressError) return thrown;
    const isRefusal = isErrorWithCode(thrown) && thrown.code === ADDRESS_REFUSED;
    return new EgressError(isRefusal ? "refused" : "unreachable", messageOf(thrown), thrown);
  }
}

function isErrorWithCode(thrown: unknown): thrown is Error & { readonly code: unknown } {
  return thrown instanceof Error && "code" in thrown;
}
