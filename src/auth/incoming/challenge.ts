import { VmcpError } from "../../domain/errors.ts";
import type { AuthRequest } from "./client-auth.ts";

/** What a challenge tells besides what went wrong. */
export interface ChallengeFacts {
  /** Where the metadata of the protected resource is (RFC 9728); undefined where there is no such document. */
  readonly metadataUrl: string | undefined;
  /** What to ask the authorization server for. */
  readonly scopes: readonly string[];
}

/** Of a gateway that sends nobody to an authorization server. */
export const NO_FACTS: ChallengeFacts = { metadataUrl: undefined, scopes: [] };

/**
 * No proof came with the request: the challenge names no error (RFC 6750 section 3.1). A client that names a session
 * has proved itself before and lost its proof on the way, which is told as one that does not hold.
 */
export function proofMissing(
  { headers }: Pick<AuthRequest, "headers">,
  facts: ChallengeFacts = NO_FACTS,
): VmcpError {
  if (headers["mcp-session-id"] !== undefined) {
    return proofRefused("the request names a session and carries no proof", facts);
  }
  const message = "This needs authentication: the WWW-Authenticate header says which";
  return new VmcpError("unauthorized", message, { challenge: challenge(facts) });
}

/** A proof came and does not hold; `description` says in plain words why, and nothing of its content. */
export function proofRefused(description: string, facts: ChallengeFacts = NO_FACTS): VmcpError {
  return new VmcpError("unauthorized", `The proof was refused: ${description}`, {
    reason: description,
    challenge: challenge(facts, "invalid_token", description),
  });
}

/** The proof holds but does not permit enough: all scopes that are needed are named at once. */
export function scopeMissing(needed: readonly string[], facts: ChallengeFacts): VmcpError {
  const message = `This needs the scope ${needed.join(" ")}`;
  return new VmcpError("insufficient_scope", message, {
    challenge: challenge({ ...facts, scopes: needed }, "insufficient_scope"),
  });
}

/** Proofs cannot be checked at the moment, which says nothing about this one. */
export function cannotVerify(cause: unknown, retryAfterSeconds: number): VmcpError {
  return new VmcpError("auth_unavailable", "Proofs cannot be checked at the moment; try again", {
    cause,
    retryAfterSeconds,
  });
}

function challenge(
  { metadataUrl, scopes }: ChallengeFacts,
  error?: string,
  description?: string,
): string {
  const parameters = [
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(description === undefined ? [] : [`error_description="${description}"`]),
    ...(metadataUrl === undefined ? [] : [`resource_metadata="${metadataUrl}"`]),
    ...(scopes.length === 0 ? [] : [`scope="${scopes.join(" ")}"`]),
  ];
  return parameters.length === 0 ? 'Bearer realm="mcp"' : `Bearer ${parameters.join(", ")}`;
}
