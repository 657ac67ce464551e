import { z } from "zod";
import {
  countField,
  durationField,
  envNameField,
  headerNameField,
  headerValueField,
  httpUrlField,
  nonEmptyText,
  refused,
} from "./fields.ts";

const SECOND_MS = 1_000;
const MIN_ROLE_SECONDS = 900;
const MAX_ROLE_SECONDS = 43_200;

const scopes = z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "is not a scope"));

const tokenUrl = httpUrlField().optional().describe("Token endpoint.");

const client = {
  clientId: nonEmptyText().optional().describe("The gateway's client id there."),
  clientSecret: nonEmptyText().optional().describe("Client secret, as a reference."),
  clientSecretEnv: envNameField().optional().describe("Variable that holds the client secret."),
};

const audience = nonEmptyText().optional().describe("Audience of the new token.");

const resource = z
  .string()
  .refine((text) => URL.canParse(text), "must be an absolute URI")
  .optional()
  .describe("Resource that the new token is for (RFC 8707).");

const asked = scopes.optional().describe("Scopes to ask for.");

/** The short names, and the identifiers that go over the wire. */
const SUBJECT_TOKEN_TYPES = [
  "access_token",
  "id_token",
  "jwt",
  "urn:ietf:params:oauth:token-type:access_token",
  "urn:ietf:params:oauth:token-type:id_token",
  "urn:ietf:params:oauth:token-type:jwt",
] as const;

function subjectTokenType(fallback: string) {
  return z
    .enum(SUBJECT_TOKEN_TYPES)
    .optional()
    .describe(`Type of the user's token that is exchanged; default \`${fallback}\`.`);
}

const subjectProviderName = nonEmptyText()
  .optional()
  .describe("Backend whose sign-in gives the user's token; default is the client's own token.");

const roleMapping = z.strictObject({
  claim: nonEmptyText()
    .optional()
    .describe("Value that the claim named by `roleClaim` must have or contain."),
  matcher: refused(z.unknown().optional(), "Condition in CEL; use `claim`."),
  roleArn: nonEmptyText().describe("Role for whom it fits."),
  priority: countField(0).optional().describe("Lower goes first; those without come last."),
});

/** The fields of each strategy, which stand either beside `type` or in the strategy's own block. */
export const STRATEGY_FIELDS = {
  headerInjection: {
    headerName: headerNameField().optional().describe("Name of the header to add."),
    headerValue: headerValueField().optional().describe("Its value; a reference for secrets."),
    headerValueEnv: envNameField().optional().describe("Variable that holds its value."),
  },
  tokenExchange: {
    tokenUrl,
    ...client,
    audience,
    resource,
    scopes: asked,
    subjectTokenType: subjectTokenType("access_token"),
    subjectProviderName,
  },
  clientCredentials: { tokenUrl, ...client, audience, resource, scopes: asked },
  upstreamInject: {
    providerName: nonEmptyText()
      .optional()
      .describe("Backend of the strategy `oauth` whose sign-in gives the token."),
  },
  awsSts: {
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/, "is not the name of a region")
      .optional()
      .describe("Region of AWS."),
    service: nonEmptyText().optional().describe("Service that is signed for; default `aws-mcp`."),
    stsUrl: httpUrlField().optional().describe("STS endpoint; default is the one of the region."),
    fallbackRoleArn: nonEmptyText().optional().describe("Role where no mapping fits."),
    roleMappings: z.array(roleMapping).optional().describe("Which users have which role."),
    roleClaim: nonEmptyText().optional().describe("Claim that roles go by; default `groups`."),
    sessionDuration: z
      .union([
        countField(MIN_ROLE_SECONDS, MAX_ROLE_SECONDS).transform((seconds) => seconds * SECOND_MS),
        durationField(MIN_ROLE_SECONDS * SECOND_MS),
      ])
      .optional()
      .describe("How long a role is taken on for, in seconds or as a duration; default 1h."),
    sessionNameClaim: nonEmptyText()
      .optional()
      .describe("Claim that names the user in AWS's own logs; default `sub`."),
    subjectProviderName,
  },
  xaa: {
    idpTokenUrl: httpUrlField().optional().describe("Token endpoint of the users' provider."),
    idpClientId: client.clientId,
    idpClientSecret: client.clientSecret,
    idpClientSecretEnv: client.clientSecretEnv,
    targetTokenUrl: httpUrlField().optional().describe("Token endpoint of the backend's side."),
    targetClientId: client.clientId,
    targetClientSecret: client.clientSecret,
    targetClientSecretEnv: client.clientSecretEnv,
    targetAudience: nonEmptyText()
      .optional()
      .describe("The backend's authorization server, as it names itself."),
    targetResource: resource,
    insecureTargetTokenUrl: z
      .boolean()
      .optional()
      .describe("Accept a `targetTokenUrl` in clear text over a public network."),
    scopes: asked,
    subjectTokenType: subjectTokenType("id_token"),
    subjectProviderName,
  },
  oauth: {
    ...client,
    scopes: scopes.optional().describe("Scopes to ask for; default is what the backend names."),
    authorizationServer: httpUrlField()
      .optional()
      .describe("Issuer to sign in at; default is the first one that the backend names."),
    redirectUri: httpUrlField()
      .optional()
      .describe(
        "Where browsers reach the gateway's `/oauth/callback`; default is its own address.",
      ),
  },
} as const;

export type StrategyBlock = keyof typeof STRATEGY_FIELDS;

/** Block by type of strategy. */
export const BLOCK_OF_TYPE: ReadonlyMap<string, StrategyBlock> = new Map([
  ["header_injection", "headerInjection"],
  ["token_exchange", "tokenExchange"],
  ["client_credentials", "clientCredentials"],
  ["upstream_inject", "upstreamInject"],
  ["aws_sts", "awsSts"],
  ["xaa", "xaa"],
  ["oauth", "oauth"],
]);

/** What each strategy cannot do without; what only means something in pairs is checked apart. */
export const REQUIRED_FIELDS: Readonly<Record<StrategyBlock, readonly string[]>> = {
  headerInjection: ["headerName"],
  tokenExchange: ["tokenUrl"],
  clientCredentials: ["tokenUrl", "clientId"],
  upstreamInject: ["providerName"],
  awsSts: ["region"],
  xaa: ["idpTokenUrl", "targetTokenUrl", "targetAudience"],
  oauth: [],
};
