import { ANONYMOUS, type Identity } from "../../domain/identity.ts";
import { proofRefused } from "./challenge.ts";
import type { AuthRequest, ClientAuth } from "./client-auth.ts";
import { presentsProof } from "./presented-proof.ts";

/**
 * Everybody is nobody in particular. Whoever presents a proof is refused: it could not be checked, and a client that
 * believes to be known must not share sessions with those who are not.
 */
export const ANONYMOUS_AUTH: ClientAuth = {
  recall: (request) => (presentsProof(request) ? undefined : ANONYMOUS),
  verify(request: AuthRequest): Identity {
    if (!presentsProof(request)) return ANONYMOUS;
    throw proofRefused("no proof is asked for here; send the request without one");
  },
  async [Symbol.asyncDispose]() {},
};
