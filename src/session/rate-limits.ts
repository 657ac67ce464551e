import type { Identity } from "../domain/identity.ts";

/** How often tools may be called. */
export interface RateLimits {
  /**
   * Counts a call of the tool with this advertised name. Undefined where it may go on; otherwise nothing is counted, and
   * this is how long to wait before it may, in milliseconds. Costs nothing where nothing is limited.
   */
  take(identity: Identity, toolName: string): number | undefined;
}

export const NO_RATE_LIMITS: RateLimits = {
  take: () => undefined,
};
