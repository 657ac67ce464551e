import type { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import type { Logger } from "../../domain/logger.ts";
import { Egress } from "../egress/egress.ts";
import { EgressError } from "../egress/egress-error.ts";
import {
  cannotVerify,
  proofMissing,
  proofRefused,
  scopeMissing,
  type ChallengeFacts,
} from "./challenge.ts";
import type { AuthRequest, ClientAuth } from "./client-auth.ts";
import { Introspector } from "./introspector.ts";
import { IssuerDiscovery } from "./issuer-metadata.ts";
import { FAILURE_COOLDOWN_MS, JwtVerifier, type VerifiedToken } from "./jwt-verifier.ts";
import { bearerOf, hasQueryToken, MAX_TOKEN_LENGTH } from "./presented-proof.ts";
import { ProofMemory } from "./proof-memory.ts";
import { toIdentity } from "./token-identity.ts";

export interface OidcAuthOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Where the keys are; default: where the issuer's metadata says. */
  readonly jwksUrl?: string | undefined;
  /** With which tokens that are not signed are introspected; without it they are refused. */
  readonly client?: { readonly id: string; readonly secret: string } | undefined;
  /** Where tokens are introspected; default: where the issuer's metadata says. */
  readonly introspectionUrl?: string | undefined;
  /** Scopes that every token must have. */
  readonly requiredScopes: readonly string[];
  readonly isClientBound: boolean;
  readonly facts: ChallengeFacts;
  /** PEM of authorities that are trusted besides the built-in ones. */
  readonly caBundle?: string | undefined;
  readonly allowHttp: boolean;
  readonly allowPrivateAddresses: boolean;
  /** For one question to the issuer with its whole answer. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  readonly logger: Logger;
}

/** Three parts in base64url: a signed token. An encrypted one has five and is not taken. */
const SIGNED_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Tokens of one OpenID Connect issuer, as JWT or by introspection. Each is verified once, by however many requests
 * it comes, and remembered until it expires; keys that the issuer withdraws end that within ten minutes.
 */
export class OidcAuth implements ClientAuth {
  readonly #options: OidcAuthOptions;
  readonly #egress: Egress;
  readonly #memory = new ProofMemory();
  readonly #jwts: JwtVerifier;
  readonly #introspector: Introspector | undefined;
  readonly #verifying = new Map<string, Promise<Identity>>();
  #isIssuerAway = false;

  constructor(options: OidcAuthOptions) {
    this.#options = options;
    const { issuer, audience, facts, jwksUrl, introspectionUrl, client } = options;
    this.#egress = new Egress(options);
    const { fetch } = this.#egress;
    const discovery = new IssuerDiscovery(issuer, fetch);
    const common = { issuer, audience, facts, fetch };
    this.#jwts = new JwtVerifier({
      ...common,
      jwksUrl: async () =>
        jwksUrl ?? required((await discovery.metadata()).jwksUri, "where its keys are"),
      onKeysChanged: () => this.#memory.clear(),
    });
    this.#introspector =
      client &&
      new Introspector({
        ...common,
        clientId: client.id,
        clientSecret: client.secret,
        url: async () =>
          introspectionUrl ??
          required((await discovery.metadata()).introspectionEndpoint, "where it introspects"),
      });
  }

  recall(request: AuthRequest): Identity | undefined {
    const token = bearerOf(request);
    return token === undefined ? undefined : this.#memory.find(token);
  }

  async verify(request: AuthRequest): Promise<Identity> {
    const { facts } = this.#options;
    const token = bearerOf(request);
    if (token === undefined) {
      if (hasQueryToken(request))
        throw proofRefused("tokens are not taken from the address", facts);
      throw proofMissing(request, facts);
    }
    if (token.length > MAX_TOKEN_LENGTH) throw proofRefused("the token is too long", facts);
    const underWay = this.#verifying.get(token);
    if (underWay !== undefined) return underWay;
    const verifying = this.#verify(token);
    this.#verifying.set(token, verifying);
    try {
      return await verifying;
    } finally {
      this.#verifying.delete(token);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory.clear();
    await this.#egress[Symbol.asyncDispose]();
  }

  async #verify(token: string): Promise<Identity> {
    const { generation } = this.#memory;
    const { claims, trustedUntilMs } = await this.#check(token);
    const identity = toIdentity(token, claims, this.#options, Date.now());
    this.#requireScopes(identity);
    this.#memory.remember(token, identity, trustedUntilMs, generation);
    return identity;
  }

  async #check(token: string): Promise<VerifiedToken> {
    const { facts } = this.#options;
    try {
      const checked = await this.#checkerOf(token)?.verify(token);
      if (checked === undefined) throw proofRefused("the token is not valid", facts);
      this.#isIssuerAway = false;
      return checked;
    } catch (error) {
      if (error instanceof EgressError) throw this.#issuerAway(error);
      throw error;
    }
  }

  #checkerOf(token: string): Pick<JwtVerifier, "verify"> | undefined {
    return SIGNED_TOKEN.test(token) ? this.#jwts : this.#introspector;
  }

  #requireScopes(identity: Identity): void {
    const { requiredScopes, facts } = this.#options;
    const scopes = new Set(identity.kind === "verified" ? identity.scopes : []);
    if (requiredScopes.every((scope) => scopes.has(scope))) return;
    throw scopeMissing(requiredScopes, facts);
  }

  /** Told once until the issuer is back: otherwise every request would say it again. */
  #issuerAway(error: EgressError): VmcpError {
    if (!this.#isIssuerAway) {
      const { issuer, logger } = this.#options;
      const { failure, message } = error;
      logger.warn("the issuer of tokens does not answer", { issuer, failure, reason: message });
    }
    this.#isIssuerAway = true;
    return cannotVerify(error, FAILURE_COOLDOWN_MS / 1_000);
  }
}

function required(url: string | undefined, what: string): string {
  if (url !== undefined) return url;
  throw new EgressError("protocol", `the issuer's metadata does not say ${what}`);
}
