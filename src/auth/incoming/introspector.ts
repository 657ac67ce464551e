import {
  allowInsecureRequests,
  ClientSecretBasic,
  customFetch,
  introspectionRequest,
  processIntrospectionResponse,
} from "oauth4webapi";
import type { JsonObject } from "../../domain/json.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { EgressError } from "../egress/egress-error.ts";
import { proofRefused, type ChallengeFacts } from "./challenge.ts";
import type { VerifiedToken } from "./jwt-verifier.ts";
import { CLOCK_SKEW_MS } from "./token-identity.ts";

/** An answer holds for this long: who asks for introspection wants to be able to take a token back. */
const MAX_AGE_MS = 60_000;

export interface IntrospectorOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly facts: ChallengeFacts;
  readonly fetch: EgressFetch;
  /** Where to ask now. */
  readonly url: () => Promise<string>;
}

/** Asks the issuer about tokens that say nothing by themselves (RFC 7662). */
export class Introspector {
  readonly #options: IntrospectorOptions;

  constructor(options: IntrospectorOptions) {
    this.#options = options;
  }

  /** Rejects with `unauthorized`, or with `EgressError` where the issuer does not say. */
  async verify(token: string): Promise<VerifiedToken> {
    const { facts } = this.#options;
    const claims = await this.#ask(token);
    if (claims["active"] !== true) throw proofRefused("the token is not active", facts);
    this.#check(claims);
    const nowMs = Date.now();
    const expiresAtMs = Number(claims["exp"] ?? 0) * 1_000 + CLOCK_SKEW_MS;
    if (expiresAtMs <= nowMs) throw proofRefused("the token has expired", facts);
    return { claims, trustedUntilMs: Math.min(expiresAtMs, nowMs + MAX_AGE_MS) };
  }

  /** An issuer that leaves the audience out leaves open for whom the token is; that is not ours to guess. */
  #check({ iss, aud, nbf }: JsonObject): void {
    const { issuer, audience, facts } = this.#options;
    if (iss !== undefined && iss !== issuer) {
      throw proofRefused("the token is of another issuer", facts);
    }
    if (![aud].flat().includes(audience)) {
      throw proofRefused("the token is for another audience", facts);
    }
    if (typeof nbf === "number" && nbf * 1_000 > Date.now() + CLOCK_SKEW_MS) {
      throw proofRefused("the token is not valid yet", facts);
    }
  }

  async #ask(token: string): Promise<JsonObject> {
    const { issuer, clientId, clientSecret, fetch } = this.#options;
    const client = { client_id: clientId };
    try {
      const server = { issuer, introspection_endpoint: await this.#options.url() };
      const answer = await introspectionRequest(
        server,
        client,
        ClientSecretBasic(clientSecret),
        token,
        {
          [customFetch]: async (url, { headers, method, body }) =>
            fetch(url, { headers, method, body }),
          // Whether clear text is allowed is decided where the request leaves.
          [allowInsecureRequests]: true,
        },
      );
      // What came out of JSON is JSON.
      return (await processIntrospectionResponse(server, client, answer)) as unknown as JsonObject;
    } catch (error) {
      // Whatever else is wrong with the answer is not the token's fault.
      throw error instanceof EgressError
        ? error
        : new EgressError("protocol", "the issuer does not introspect the token", error);
    }
  }
}
