import type { Identity } from "../../domain/identity.ts";
import { credentialsError } from "./credentials-error.ts";

/** Gives the token that stands for a user where a token for a backend is asked for. Throws `backend_auth`. */
export type SubjectTokens = (identity: Identity, type: SubjectTokenType) => Promise<string>;

export type SubjectTokenType = "access_token" | "id_token" | "jwt";

/** What the client itself was let in with. It only ever goes to the token endpoint that the configuration names. */
export function clientTokens(backend: string, now: () => number): SubjectTokens {
  return async (identity) => {
    if (identity.kind === "anonymous" || identity.token === undefined) {
      throw credentialsError(backend, "needs a client that signs in with a token");
    }
    // The end of a token is a matter of the wall clock, and one that has ended would only be refused.
    if (identity.expiresAtMs !== undefined && identity.expiresAtMs <= now()) {
      throw credentialsError(backend, "needs a token of the client that has not expired");
    }
    return identity.token.reveal();
  };
}

const keys = new WeakMap<Identity, string>();

/**
 * Names a user together with what the proof permits, so that one with less never gets what was made of one with more.
 * Throws `backend_auth` where the client is nobody in particular.
 */
export function userKey(backend: string, identity: Identity): string {
  const known = keys.get(identity);
  if (known !== undefined) return known;
  if (identity.kind === "anonymous") {
    throw credentialsError(backend, "is used on behalf of its users, and this client is anonymous");
  }
  const { issuer, subject, clientId = "", scopes = [] } = identity;
  const key = JSON.stringify([issuer, subject, clientId, scopes.toSorted()]);
  keys.set(identity, key);
  return key;
}
