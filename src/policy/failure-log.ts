import type { Logger } from "../domain/logger.ts";

/** Failures told apart in the log; whoever reads it has seen enough by then. */
const MAX_TOLD = 100;

const MISSING =
  /(?:does not have the|has no) (?:required )?(?:attribute|tag) `(?<name>[^`]{1,64})`/;

/**
 * Says once of each policy that it could not be evaluated, and what it missed. What else the engine says may hold what a
 * client sent.
 */
export class FailureLog {
  readonly #logger: Logger;
  readonly #told = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  note({ policy, message }: { readonly policy: string; readonly message: string }): void {
    const missing = MISSING.exec(message)?.groups?.["name"];
    const key = `${policy} ${missing}`;
    if (this.#told.has(key) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(key);
    this.#logger.warn("a policy cannot be evaluated, and what it is asked about is denied", {
      policy,
      missing,
    });
  }
}
