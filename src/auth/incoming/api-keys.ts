import { hash, timingSafeEqual } from "node:crypto";
import type { Identity } from "../../domain/identity.ts";
import { proofMissing, proofRefused } from "./challenge.ts";
import type { AuthRequest, ClientAuth } from "./client-auth.ts";
import { apiKeyOf, bearerOf, hasQueryToken, presentsProof } from "./presented-proof.ts";

/** Says of an identity that a configured key proved it. */
export const API_KEY_ISSUER = "vmcp:api-key";

/** One key that is accepted, known by its hash alone. */
interface ApiKey {
  /** Names the key to operators; what `clientId` says. */
  readonly id: string;
  /** Of the key's text in UTF-8; 64 hexadecimal digits. */
  readonly sha256: string;
  readonly subject: string;
  readonly scopes: readonly string[];
}

export interface ApiKeyOptions {
  readonly keys: readonly ApiKey[];
  /** Sessions belong to the key and not to all keys of its subject. */
  readonly isClientBound: boolean;
}

interface KnownKey {
  readonly digest: Buffer;
  readonly identity: Identity;
}

/**
 * Keys that the operator hands out, sent as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Each is compared with
 * every configured one in constant time, by hashes, so that an answer's delay tells nothing of any of them.
 */
export class ApiKeys implements ClientAuth {
  readonly #keys: readonly KnownKey[];

  constructor({ keys, isClientBound }: ApiKeyOptions) {
    this.#keys = keys.map(({ id, sha256, subject, scopes }) => ({
      digest: Buffer.from(sha256, "hex"),
      identity: {
        kind: "verified",
        issuer: API_KEY_ISSUER,
        subject,
        scopes,
        clientId: id,
        claims: { iss: API_KEY_ISSUER, sub: subject, client_id: id, scope: scopes.join(" ") },
        ...(isClientBound && { boundTo: id }),
      },
    }));
  }

  recall(request: AuthRequest): Identity | undefined {
    const key = keyIn(request);
    return key === undefined ? undefined : this.#find(key);
  }

  verify(request: AuthRequest): Identity {
    const key = keyIn(request);
    if (key === undefined) {
      if (!presentsProof(request)) throw proofMissing(request);
      if (hasQueryToken(request)) throw proofRefused("keys are not taken from the address");
      throw proofRefused("send one key as Authorization: Bearer or as X-API-Key");
    }
    const identity = this.#find(key);
    if (identity === undefined) throw proofRefused("the key is not known");
    return identity;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #find(key: string): Identity | undefined {
    const digest = hash("sha256", key, "buffer");
    let found: Identity | undefined;
    for (const known of this.#keys) {
      if (timingSafeEqual(known.digest, digest)) found = known.identity;
    }
    return found;
  }
}

/** Two keys in one request are none: they might stand for different clients. */
function keyIn(request: AuthRequest): string | undefined {
  const ownHeader = apiKeyOf(request);
  if (request.headers.authorization === undefined) return ownHeader;
  return ownHeader === undefined ? bearerOf(request) : undefined;
}
