import type { SubjectTokenType } from "./subject-tokens.ts";
import type { OAuthClient } from "./token-endpoint.ts";

/** Whose token stands for the user. */
interface SubjectOptions {
  readonly subjectTokenType: SubjectTokenType;
  /** The backend whose sign-in gives it. Default: what the client was let in with. */
  readonly subjectProviderName?: string | undefined;
}

export interface TokenExchangeOptions extends SubjectOptions {
  readonly type: "token_exchange";
  readonly tokenUrl: string;
  readonly client?: OAuthClient | undefined;
  readonly audience?: string | undefined;
  readonly resource?: string | undefined;
  readonly scopes: readonly string[];
}

export interface ClientCredentialsOptions {
  readonly type: "client_credentials";
  readonly tokenUrl: string;
  readonly client?: OAuthClient | undefined;
  readonly audience?: string | undefined;
  readonly resource?: string | undefined;
  readonly scopes: readonly string[];
}

export interface CrossAppAccessOptions extends SubjectOptions {
  readonly type: "xaa";
  readonly idpTokenUrl: string;
  readonly idpClient?: OAuthClient | undefined;
  readonly targetTokenUrl: string;
  readonly targetClient?: OAuthClient | undefined;
  /** The target's authorization server, as it names itself. */
  readonly targetAudience: string;
  readonly targetResource?: string | undefined;
  readonly scopes: readonly string[];
}

/** Who has the value in the claim that roles are found by has the role. */
interface RoleMapping {
  readonly claim: string;
  readonly roleArn: string;
}

export interface AwsStsOptions {
  readonly type: "aws_sts";
  readonly region: string;
  readonly service: string;
  readonly stsUrl: string;
  /** The first that fits counts. */
  readonly roleMappings: readonly RoleMapping[];
  readonly roleClaim: string;
  readonly fallbackRoleArn?: string | undefined;
  readonly sessionDurationSeconds: number;
  readonly sessionNameClaim: string;
  readonly subjectProviderName?: string | undefined;
}

interface UpstreamInjectOptions {
  readonly type: "upstream_inject";
  /** The backend whose sign-in gives the token. */
  readonly providerName: string;
}

export interface SignInOptions {
  readonly type: "oauth";
  /** Default: the gateway registers itself. */
  readonly client?: OAuthClient | undefined;
  /** Default: what the backend says it needs. */
  readonly scopes: readonly string[];
  /** The issuer to sign in at. Default: the first one that the backend names. */
  readonly authorizationServer?: string | undefined;
  /** Where browsers come back to. Default: the gateway's own address. */
  readonly redirectUri?: string | undefined;
  /** What the backend leads to may be in a private network. */
  readonly mayLeadInside: boolean;
}

/** How one backend is proven to, where that takes more than a fixed header. */
export type StrategyOptions =
  | TokenExchangeOptions
  | ClientCredentialsOptions
  | CrossAppAccessOptions
  | AwsStsOptions
  | UpstreamInjectOptions
  | SignInOptions;
