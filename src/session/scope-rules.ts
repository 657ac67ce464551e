import type { Identity } from "../domain/identity.ts";

/** Which scopes the tools need that clients see and may use. */
export interface ScopeRules {
  /** Throws `insufficient_scope` where the identity's proof does not permit a call of the tool of this advertised name. */
  require(identity: Identity, toolName: string): void;
}
