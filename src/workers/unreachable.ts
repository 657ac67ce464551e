import { VmcpError } from "../domain/errors.ts";

/** The listener's queue is full: more came at once than its process has seen yet. */
export const FULL_QUEUE = "EAGAIN";

/** Why no connection came to be although the owner may be there. */
const SHORTAGES: ReadonlySet<string> = new Set([
  FULL_QUEUE,
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ERR_CONNECT_TIMEOUT",
]);

const RETRY_SECONDS = 1;

/**
 * What to tell a client whose request could not leave for its owner, by the code of the error. Undefined where that
 * proves that there is no owner: a process that ended took its sessions with it.
 */
export function shortageOf(cause: Error): VmcpError | undefined {
  if (!SHORTAGES.has(codeOf(cause))) return undefined;
  const sentence = "The process that holds this session cannot be reached at the moment; try again";
  return new VmcpError("overloaded", sentence, { retryAfterSeconds: RETRY_SECONDS, cause });
}

/** Empty for an error without one. */
export function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
