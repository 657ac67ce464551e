import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";

/** What is known of a use before its arguments are looked at. */
export type Judgement =
  | { readonly kind: "allowed" }
  /** Whatever the arguments are. The reason is in words for the operator. */
  | { readonly kind: "denied"; readonly reason: string }
  | { readonly kind: "depends" };

/**
 * Decides who may use which capability. A route is judged as clients know it: by its advertised name, or its URI.
 *
 * Synchronous, never throws, and always gives the same question the same answer: whoever changes the rules makes
 * another policy. What cannot be decided is denied.
 */
export interface AccessPolicy {
  /** Everyone may do everything; nothing else is asked then. */
  readonly admitsAll: boolean;
  /** Asked before each call and for each item of a list, so that it must be cheap. Lists show what it does not deny. */
  judge(identity: Identity, route: Route): Judgement;
  /** Why the identity may not use this with these arguments, in words for the operator; undefined where it may. */
  reasonToDeny(identity: Identity, route: Route, args: JsonObject | undefined): string | undefined;
}

const ALLOWED: Judgement = { kind: "allowed" };

export const NO_POLICY: AccessPolicy = {
  admitsAll: true,
  judge: () => ALLOWED,
  reasonToDeny: () => undefined,
};
