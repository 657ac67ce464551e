import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwksCache,
  jwtVerify,
  type ExportedJWKSCache,
  type RemoteJWKSet,
} from "jose";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { EgressError } from "../egress/egress-error.ts";
import { proofRefused, type ChallengeFacts } from "./challenge.ts";
import { CLOCK_SKEW_MS } from "./token-identity.ts";

/** Signatures that only the issuer can make: none with a shared key, and never none at all. */
const ALGORITHMS: readonly string[] = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** An access token is one of these; a logout or identity assertion of the same issuer must not pass for one. */
const TOKEN_TYPES: ReadonlySet<string> = new Set(["jwt", "at+jwt", "application/at+jwt"]);

/** Keys that the issuer withdrew are refused no later than this. */
const KEYS_MAX_AGE_MS = 600_000;
/** From this age on, keys are asked for again before they are needed, so that an outage does not meet us without. */
const KEYS_REFRESH_AGE_MS = 300_000;
/** Between two questions for a key that is not among those known. */
const UNKNOWN_KEY_COOLDOWN_MS = 10_000;
/** After a question that failed nobody asks again for this long. */
export const FAILURE_COOLDOWN_MS = 2_000;

export interface JwtVerifierOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly facts: ChallengeFacts;
  readonly fetch: EgressFetch;
  /** Where the keys are now. */
  readonly jwksUrl: () => Promise<string>;
  /** Keys are others than before: what was verified with those must be verified again. */
  readonly onKeysChanged: () => void;
}

/** What a token says, and until when that may be taken for true. */
export interface VerifiedToken {
  readonly claims: JsonObject;
  /** In milliseconds of the epoch. */
  readonly trustedUntilMs: number;
}

/**
 * Verifies signed tokens with the keys that their issuer publishes. Keys are kept for ten minutes, through an outage
 * of the issuer too; unknown key ids lead to one question per cool-down, whoever makes them up.
 */
export class JwtVerifier {
  readonly #options: JwtVerifierOptions;
  #keys: { readonly url: string; readonly set: RemoteJWKSet; readonly cache: KeyCache } | undefined;
  #published: string | undefined;
  #failure: { readonly error: unknown; readonly atMs: number } | undefined;

  constructor(options: JwtVerifierOptions) {
    this.#options = options;
  }

  /** Rejects with `unauthorized`, or with `EgressError` where the keys cannot be had. */
  async verify(token: string): Promise<VerifiedToken> {
    const { issuer, audience, facts } = this.#options;
    const { set, cache } = await this.#keySet();
    try {
      const { payload, protectedHeader } = await jwtVerify(token, set, {
        issuer,
        audience,
        algorithms: [...ALGORITHMS],
        clockTolerance: CLOCK_SKEW_MS / 1_000,
        requiredClaims: ["exp", "sub"],
      });
      if (!TOKEN_TYPES.has((protectedHeader.typ ?? "jwt").toLowerCase())) {
        throw proofRefused("the token is of another kind than an access token", facts);
      }
      this.#refreshAhead(set, cache);
      const expiresAtMs = (payload.exp ?? 0) * 1_000 + CLOCK_SKEW_MS;
      // What came out of JSON is JSON.
      const claims = payload as JsonObject;
      return { claims, trustedUntilMs: Math.min(expiresAtMs, keptUntilMs(cache)) };
    } catch (error) {
      if (error instanceof errors.JOSEError) throw proofRefused(describe(error), facts);
      throw error;
    }
  }

  async #keySet(): Promise<{ readonly set: RemoteJWKSet; readonly cache: KeyCache }> {
    if (this.#keys !== undefined && this.#keys.set.fresh) return this.#keys;
    this.#throwRecentFailure();
    try {
      const url = await this.#options.jwksUrl();
      if (this.#keys?.url === url) return this.#keys;
      const cache: KeyCache = {};
      const set = createRemoteJWKSet(new URL(url), {
        cacheMaxAge: KEYS_MAX_AGE_MS,
        cooldownDuration: UNKNOWN_KEY_COOLDOWN_MS,
        [jwksCache]: cache,
        [customFetch]: async (address, { headers }) => this.#fetchKeys(address, headers),
      });
      this.#keys = { url, set, cache };
      return this.#keys;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Never answers with anything but keys: what else comes is a failure of the issuer and not of a token. */
  async #fetchKeys(url: string, headers: Headers): Promise<Response> {
    this.#throwRecentFailure();
    try {
      const answer = await this.#options.fetch(url, { headers });
      const text = await answer.text();
      if (answer.status !== 200 || !isKeySet(text)) {
        throw new EgressError("protocol", `the issuer's keys are answered ${answer.status}`);
      }
      this.#failure = undefined;
      if (this.#published !== undefined && this.#published !== text) this.#options.onKeysChanged();
      this.#published = text;
      return new Response(text);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #refreshAhead(set: RemoteJWKSet, { uat }: KeyCache): void {
    const isDue = Date.now() - uat > KEYS_REFRESH_AGE_MS;
    if (!isDue || set.reloading || this.#failedRecently()) return;
    // The keys that are there still hold; a failure is met again when they do not.
    set.reload().catch(() => {});
  }

  #throwRecentFailure(): void {
    if (this.#failedRecently()) throw this.#failure?.error;
  }

  #failedRecently(): boolean {
    return (
      this.#failure !== undefined && performance.now() - this.#failure.atMs < FAILURE_COOLDOWN_MS
    );
  }

  #failed(thrown: unknown): EgressError {
    const error = EgressError.from(thrown);
    if (error !== this.#failure?.error) this.#failure = { error, atMs: performance.now() };
    return error;
  }
}

/** Empty until the keys were had for the first time. */
type KeyCache = ExportedJWKSCache | Record<string, never>;

function keptUntilMs({ uat }: KeyCache): number {
  return uat + KEYS_MAX_AGE_MS;
}

function isKeySet(text: string): boolean {
  try {
    const set: unknown = JSON.parse(text);
    return isJsonObject(set) && Array.isArray(set["keys"]) && set["keys"].every(isJsonObject);
  } catch {
    return false;
  }
}

/** What is wrong with a token, for its owner: never what stands in it. */
function describe(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIM_FAULTS.get(error.claim) ?? "the token is not valid";
  }
  return "the token is not valid";
}

const CLAIM_FAULTS: ReadonlyMap<string, string> = new Map([
  ["iss", "the token is of another issuer"],
  ["aud", "the token is for another audience"],
  ["sub", "the token names no subject"],
  ["exp", "the token never expires"],
  ["nbf", "the token is not valid yet"],
]);
