import type { IncomingMessage } from "node:http";
import type { Identity } from "../../domain/identity.ts";

/** What is looked at of a request to find out who sends it: its head, and never its body. */
export type AuthRequest = Pick<IncomingMessage, "headers" | "url" | "socket">;

/**
 * One way in which clients prove who they are.
 *
 * `recall` says at once who sends a request whose proof was seen before and still holds, or needs no looking up;
 * undefined says nothing against the proof. `verify` decides all others: it throws, or rejects with,
 * `unauthorized`, `insufficient_scope` or `auth_unavailable`. Neither ever shows the proof.
 */
export interface ClientAuth extends AsyncDisposable {
  recall(request: AuthRequest): Identity | undefined;
  verify(request: AuthRequest): Identity | Promise<Identity>;
}
