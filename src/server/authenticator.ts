import type { IncomingMessage } from "node:http";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";

/**
 * Tells the edge who sends a request, by the head of the request alone.
 *
 * `recall` answers at once for a proof that was seen before and still holds, so that most requests wait for nothing.
 * `verify` decides all others; it throws, or rejects with, `unauthorized`, `insufficient_scope` or `auth_unavailable`.
 */
export interface Authenticator {
  recall(request: IncomingMessage): Identity | undefined;
  verify(request: IncomingMessage): Identity | Promise<Identity>;
  /** What is published at a path below `/.well-known/` for clients that look for how to prove themselves. */
  wellKnown(path: string): JsonObject | undefined;
}

/** Asks nobody for anything. For an edge whose clients were told apart before they came here. */
export const NO_AUTHENTICATION: Authenticator = {
  recall: () => ANONYMOUS,
  verify: () => ANONYMOUS,
  wellKnown: () => undefined,
};
