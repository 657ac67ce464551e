import type { TokenEndpointResponse } from "oauth4webapi";
import type { Identity } from "../../domain/identity.ts";
import type { CredentialSource } from "./cached-credentials.ts";
import type { Expiring } from "./credential-cache.ts";
import type { HeaderList } from "./outgoing-credentials.ts";

/** An access token as requests carry it. */
export interface BearerCredentials extends Expiring {
  readonly headers: HeaderList;
}

/** An endpoint that does not say how long its token lives is asked again after this long. */
const UNSAID_LIFETIME_SECONDS = 300;

export interface BearerTokenSourceOptions {
  readonly isPerUser: boolean;
  readonly keyOf: (identity: Identity) => string;
  readonly fetch: (identity: Identity) => Promise<BearerCredentials>;
}

/** Credentials that are one token in the `Authorization` header. */
export function bearerTokenSource(
  options: BearerTokenSourceOptions,
): CredentialSource<BearerCredentials> {
  return {
    ...options,
    headersOf: ({ headers }) => headers,
    // Forbidden (403) is what the user may not do: another token of the same user may do no more.
    isAboutCredentials: (status) => status === 401,
  };
}

/** What a token endpoint gave, as requests carry it. */
export function toBearer(response: TokenEndpointResponse, nowMs: number): BearerCredentials {
  const seconds = response.expires_in ?? UNSAID_LIFETIME_SECONDS;
  return {
    headers: ["authorization", `Bearer ${response.access_token}`],
    expiresAtMs: nowMs + seconds * 1_000,
  };
}
