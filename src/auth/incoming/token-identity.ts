import { BearerToken } from "../../domain/bearer-token.ts";
import type { Identity } from "../../domain/identity.ts";
import type { JsonObject } from "../../domain/json.ts";
import { proofRefused, type ChallengeFacts } from "./challenge.ts";

/** How far the clocks of an issuer and ours may be apart. */
export const CLOCK_SKEW_MS = 60_000;

export interface TokenRules {
  readonly issuer: string;
  /** Sessions belong to the client that the token names as well as to its subject. */
  readonly isClientBound: boolean;
  readonly facts: ChallengeFacts;
}

/**
 * Who a token that its issuer vouches for is about. Throws `unauthorized` where it does not say so clearly: without a
 * `sub` that is a text and not empty, with a time that is none, or issued in the future.
 */
export function toIdentity(
  token: string,
  claims: JsonObject,
  { issuer, isClientBound, facts }: TokenRules,
  nowMs: number,
): Identity {
  const { sub: subject, exp, iat } = claims;
  // Sessions and limits are filed under it: a number and its text must not be one, nor what a NUL would cut short.
  if (typeof subject !== "string" || subject === "" || subject.includes("\0")) {
    throw proofRefused("the token names no subject that can be used", facts);
  }
  if (typeof exp !== "number") throw proofRefused("the token never expires", facts);
  if (iat !== undefined && (typeof iat !== "number" || iat * 1_000 > nowMs + CLOCK_SKEW_MS)) {
    throw proofRefused("the token was issued in the future", facts);
  }
  const clientId = clientIdOf(claims);
  return {
    kind: "verified",
    issuer,
    subject,
    claims,
    scopes: scopesOf(claims),
    token: new BearerToken(token),
    expiresAtMs: exp * 1_000,
    ...(clientId !== undefined && { clientId }),
    // A token that names no client is bound to that.
    ...(isClientBound && { boundTo: clientId ?? "" }),
  };
}

/** RFC 9068 has one text; some issuers have a list, or `scp`. */
function scopesOf({ scope, scp }: JsonObject): readonly string[] {
  const value = scope ?? scp;
  if (typeof value === "string") return value.split(" ").filter((each) => each !== "");
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function clientIdOf({ client_id: clientId, azp, cid }: JsonObject): string | undefined {
  const named = clientId ?? azp ?? cid;
  return typeof named === "string" && named !== "" ? named : undefined;
}
