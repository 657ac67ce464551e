import type { Identity } from "../../domain/identity.ts";
import { bearerTokenSource, toBearer, type BearerCredentials } from "./bearer-token-source.ts";
import type { CredentialSource } from "./cached-credentials.ts";
import { credentialsError } from "./credentials-error.ts";
import type {
  ClientCredentialsOptions,
  CrossAppAccessOptions,
  TokenExchangeOptions,
} from "./strategy-options.ts";
import { userKey, type SubjectTokens } from "./subject-tokens.ts";
import type { TokenEndpoint } from "./token-endpoint.ts";

const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_TYPE = "urn:ietf:params:oauth:token-type:";
/** An assertion by one authorization server of who a user is, made for another one. */
const ID_JAG = `${TOKEN_TYPE}id-jag`;

/** What every grant of one backend needs. */
export interface GrantParts {
  readonly backend: string;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}

/** The user's own token is exchanged for one that the backend accepts (RFC 8693). */
export function tokenExchange(
  options: TokenExchangeOptions,
  endpoint: TokenEndpoint,
  subjects: SubjectTokens,
  { backend, now }: GrantParts,
): CredentialSource<BearerCredentials> {
  const { audience, resource, subjectTokenType } = options;
  return bearerTokenSource({
    isPerUser: true,
    keyOf: (identity) => userKey(backend, identity),
    fetch: async (identity) => {
      const response = await endpoint.request({
        grantType: TOKEN_EXCHANGE,
        parameters: {
          subject_token: await subjects(identity, subjectTokenType),
          subject_token_type: `${TOKEN_TYPE}${subjectTokenType}`,
          requested_token_type: `${TOKEN_TYPE}access_token`,
          audience,
          resource,
          scope: scopeOf(options),
        },
        // Some call the type of what they give out by what it replaces.
        tokenTypes: ["n_a"],
      });
      return toBearer(response, now());
    },
  });
}

/** A token of the gateway's own, the same for all users. */
export function clientCredentials(
  options: ClientCredentialsOptions,
  endpoint: TokenEndpoint,
  { now }: GrantParts,
): CredentialSource<BearerCredentials> {
  const { audience, resource } = options;
  return bearerTokenSource({
    isPerUser: false,
    keyOf: () => "",
    fetch: async () => {
      const response = await endpoint.request({
        grantType: "client_credentials",
        parameters: { audience, resource, scope: scopeOf(options) },
      });
      return toBearer(response, now());
    },
  });
}

/**
 * Access across applications: the users' identity provider says who the user is, in an assertion that the target's
 * authorization server takes for a token (draft-ietf-oauth-identity-assertion-authz-grant).
 */
export function crossAppAccess(
  options: CrossAppAccessOptions,
  endpoints: { readonly provider: TokenEndpoint; readonly target: TokenEndpoint },
  subjects: SubjectTokens,
  { backend, now }: GrantParts,
): CredentialSource<BearerCredentials> {
  const { targetAudience, targetResource, subjectTokenType } = options;
  const scope = scopeOf(options);
  const assertionFor = async (identity: Identity): Promise<string> => {
    const response = await endpoints.provider.request({
      grantType: TOKEN_EXCHANGE,
      parameters: {
        subject_token: await subjects(identity, subjectTokenType),
        subject_token_type: `${TOKEN_TYPE}${subjectTokenType}`,
        requested_token_type: ID_JAG,
        audience: targetAudience,
        resource: targetResource,
        scope,
      },
      tokenTypes: ["n_a"],
    });
    // Anything else could be a token of the user, which is not for the target's server to see.
    if (response["issued_token_type"] === ID_JAG) return response.access_token;
    const sentence = "cannot be given credentials: its identity provider issued no assertion";
    throw credentialsError(backend, sentence);
  };
  return bearerTokenSource({
    isPerUser: true,
    keyOf: (identity) => userKey(backend, identity),
    fetch: async (identity) => {
      const assertion = await assertionFor(identity);
      const response = await endpoints.target.request({
        grantType: JWT_BEARER,
        parameters: { assertion, scope },
      });
      return toBearer(response, now());
    },
  });
}

function scopeOf({ scopes }: { readonly scopes: readonly string[] }): string | undefined {
  return scopes.length === 0 ? undefined : scopes.join(" ");
}
