import { timingSafeEqual } from "node:crypto";

/** Who the client is, after authentication. */
export type Identity =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "verified";
      /** The issuer of the proof, for example the `iss` of a token. */
      readonly issuer: string;
      /** The subject within that issuer; may be empty only where an embedder says so. */
      readonly subject: string;
    };

export const ANONYMOUS: Identity = { kind: "anonymous" };

/** The subject to record, or undefined for an anonymous or empty one. */
export function subjectOf(identity: Identity): string | undefined {
  return identity.kind === "verified" && identity.subject !== "" ? identity.subject : undefined;
}

/** Compares two identities in time that does not depend on where they differ. */
export function isSameIdentity(left: Identity, right: Identity): boolean {
  if (left.kind === "anonymous" || right.kind === "anonymous") return left.kind === right.kind;
  const a = Buffer.from(JSON.stringify([left.issuer, left.subject]));
  const b = Buffer.from(JSON.stringify([right.issuer, right.subject]));
  return a.length === b.length && timingSafeEqual(a, b);
}
