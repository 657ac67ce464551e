import { classifyHost } from "./addresses.ts";
import type { Environment } from "./references.ts";
import { lookUp } from "./references.ts";
import type { ConfigInput } from "./schema/config-schema.ts";
import type { StrategyInput } from "./schema/outgoing-auth.ts";
import type { OAuthClientConfig, OutgoingAuthConfig, SubjectTokenType } from "./vmcp-config.ts";

/** The strategy of an HTTP backend, as it is written. */
export function strategyOf(name: string, { outgoingAuth }: ConfigInput): StrategyInput {
  const { backends, default: fallback } = outgoingAuth;
  return (Object.hasOwn(backends, name) ? backends[name] : undefined) ?? fallback;
}

/**
 * Gives a strategy its final form; undefined for those that need nothing but a fixed header, or nothing. Expects
 * input in which no check found a problem.
 */
export function resolveStrategy(
  strategy: StrategyInput,
  env: Environment,
  backendUrl: string,
): OutgoingAuthConfig | undefined {
  switch (strategy.type) {
    case "token_exchange":
      return resolveTokenExchange(strategy.tokenExchange ?? strategy, env);
    case "client_credentials":
      return resolveClientCredentials(strategy.clientCredentials ?? strategy, env);
    case "xaa":
      return resolveXaa(strategy.xaa ?? strategy, env);
    case "aws_sts":
      return resolveAwsSts(strategy.awsSts ?? strategy);
    case "upstream_inject": {
      const { providerName = "" } = strategy.upstreamInject ?? strategy;
      return { type: "upstream_inject", providerName };
    }
    case "oauth":
      return resolveOauth(strategy.oauth ?? strategy, env, backendUrl);
    case "unauthenticated":
    case "header_injection":
    case "obo":
      break;
  }
  return undefined;
}

type Fields<Block extends keyof StrategyInput> = NonNullable<StrategyInput[Block]>;

function resolveTokenExchange(
  fields: Fields<"tokenExchange">,
  env: Environment,
): OutgoingAuthConfig {
  const { tokenUrl = "", audience, resource, scopes = [], subjectProviderName } = fields;
  return {
    type: "token_exchange",
    tokenUrl,
    client: clientOf(fields.clientId, fields.clientSecret, fields.clientSecretEnv, env),
    audience,
    resource,
    scopes,
    subjectTokenType: shortType(fields.subjectTokenType) ?? "access_token",
    subjectProviderName,
  };
}

function resolveClientCredentials(
  fields: Fields<"clientCredentials">,
  env: Environment,
): OutgoingAuthConfig {
  const { tokenUrl = "", audience, resource, scopes = [] } = fields;
  return {
    type: "client_credentials",
    tokenUrl,
    client: clientOf(fields.clientId, fields.clientSecret, fields.clientSecretEnv, env),
    audience,
    resource,
    scopes,
  };
}

function resolveXaa(fields: Fields<"xaa">, env: Environment): OutgoingAuthConfig {
  const { idpTokenUrl = "", targetTokenUrl = "", targetAudience = "", targetResource } = fields;
  return {
    type: "xaa",
    idpTokenUrl,
    idpClient: clientOf(fields.idpClientId, fields.idpClientSecret, fields.idpClientSecretEnv, env),
    targetTokenUrl,
    targetClient: clientOf(
      fields.targetClientId,
      fields.targetClientSecret,
      fields.targetClientSecretEnv,
      env,
    ),
    targetAudience,
    targetResource,
    scopes: fields.scopes ?? [],
    subjectTokenType: shortType(fields.subjectTokenType) ?? "id_token",
    subjectProviderName: fields.subjectProviderName,
  };
}

const DEFAULT_SESSION_MS = 3_600_000;

function resolveAwsSts(fields: Fields<"awsSts">): OutgoingAuthConfig {
  const { region = "", roleMappings = [], sessionDuration = DEFAULT_SESSION_MS } = fields;
  const inOrder = roleMappings.toSorted((left, right) => rankOf(left) - rankOf(right));
  return {
    type: "aws_sts",
    region,
    service: fields.service ?? "aws-mcp",
    stsUrl: fields.stsUrl ?? `https://sts.${region}.amazonaws.com/`,
    fallbackRoleArn: fields.fallbackRoleArn,
    roleMappings: inOrder.map(({ claim = "", roleArn }) => ({ claim, roleArn })),
    roleClaim: fields.roleClaim ?? "groups",
    sessionDurationSeconds: Math.floor(sessionDuration / 1_000),
    sessionNameClaim: fields.sessionNameClaim ?? "sub",
    subjectProviderName: fields.subjectProviderName,
  };
}

function resolveOauth(
  fields: Fields<"oauth">,
  env: Environment,
  backendUrl: string,
): OutgoingAuthConfig {
  return {
    type: "oauth",
    client: clientOf(fields.clientId, fields.clientSecret, fields.clientSecretEnv, env),
    scopes: fields.scopes ?? [],
    authorizationServer: fields.authorizationServer,
    redirectUri: fields.redirectUri,
    // Whoever is outside never gets to name what is inside.
    mayLeadInside: [backendUrl, fields.authorizationServer ?? ""].some(isInside),
  };
}

function isInside(url: string): boolean {
  return URL.canParse(url) && classifyHost(new URL(url).hostname) === "private";
}

function rankOf({ priority }: { readonly priority?: number | undefined }): number {
  return priority ?? Number.MAX_SAFE_INTEGER;
}

function clientOf(
  id: string | undefined,
  secret: string | undefined,
  variable: string | undefined,
  env: Environment,
): OAuthClientConfig | undefined {
  return id === undefined ? undefined : { id, secret: secret ?? lookUp(env, variable ?? "") };
}

function shortType(type: string | undefined): SubjectTokenType | undefined {
  // The schema lets no other name through, short or with the prefix of its identifier.
  return type?.replace(/^.*:/, "") as SubjectTokenType | undefined;
}
