import { timingSafeEqual } from "node:crypto";
import type { BearerToken } from "./bearer-token.ts";
import type { JsonObject } from "./json.ts";

/** Who the client is, after authentication. */
export type Identity =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "verified";
      /** The issuer of the proof, for example the `iss` of a token. */
      readonly issuer: string;
      /** The subject within that issuer; may be empty only where an embedder says so. */
      readonly subject: string;
      /** What else the proof says of the subject, for policies; never trusted for who it is. */
      readonly claims?: JsonObject;
      /** What the proof permits, where it says so. */
      readonly scopes?: readonly string[];
      /** The program that acts for the subject, where the proof names one. */
      readonly clientId?: string;
      /** The proof itself, for an exchange against another; absent where there is nothing to exchange. */
      readonly token?: BearerToken;
      /** What a session belongs to besides the subject, such as the program that acts for it. Default: nothing. */
      readonly boundTo?: string;
      /** When the proof ends, in milliseconds of the epoch. */
      readonly expiresAtMs?: number;
    };

export const ANONYMOUS: Identity = { kind: "anonymous" };

/** The subject to record, or undefined for an anonymous or empty one. */
export function subjectOf(identity: Identity): string | undefined {
  return identity.kind === "verified" && identity.subject !== "" ? identity.subject : undefined;
}

/** Compares two identities in time that does not depend on where they differ. */
export function isSameIdentity(left: Identity, right: Identity): boolean {
  if (left === right) return true;
  if (left.kind === "anonymous" || right.kind === "anonymous") return left.kind === right.kind;
  const a = Buffer.from(JSON.stringify([left.issuer, left.subject, left.boundTo]));
  const b = Buffer.from(JSON.stringify([right.issuer, right.subject, right.boundTo]));
  return a.length === b.length && timingSafeEqual(a, b);
}
