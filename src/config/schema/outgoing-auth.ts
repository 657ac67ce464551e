import { z } from "zod";
import {
  envNameField,
  headerNameField,
  headerValueField,
  httpUrlField,
  nonEmptyText,
  refusing,
} from "./fields.ts";

/** As the format names them; `checks/outgoing-auth.ts` asks that the chosen one has its fields. */
const STRATEGY_TYPES = [
  "unauthenticated",
  "header_injection",
  "token_exchange",
  "upstream_inject",
  "aws_sts",
  "obo",
  "xaa",
  "oauth",
  "client_credentials",
] as const;

const REFUSED_TYPES = STRATEGY_TYPES.slice(2);

const headerInjection = {
  headerName: headerNameField().optional().describe("Name of the header to add."),
  headerValue: headerValueField().optional().describe("Its value; a reference for secrets."),
  headerValueEnv: envNameField().optional().describe("Variable that holds its value."),
};

const tokenExchange = z.strictObject({
  tokenUrl: httpUrlField().describe("Token endpoint."),
  clientId: nonEmptyText().optional().describe("Client id."),
  clientSecret: nonEmptyText().optional().describe("Client secret, as a reference."),
  clientSecretEnv: envNameField().optional().describe("Variable that holds the client secret."),
  audience: nonEmptyText().optional().describe("Audience of the new token."),
  scopes: z.array(nonEmptyText()).optional().describe("Scopes of the new token."),
  subjectTokenType: nonEmptyText().optional().describe("Type of the token that is exchanged."),
  subjectProviderName: nonEmptyText().optional().describe("Provider of that token."),
});

/** Of strategies that this version does not have, where only the presence of the block is asked for. */
function looseBlock(description: string): z.ZodOptional<z.ZodRecord<z.ZodString, z.ZodUnknown>> {
  return z.record(z.string(), z.unknown()).optional().describe(description);
}

const strategy = z.strictObject({
  type: refusing(z.enum(STRATEGY_TYPES), REFUSED_TYPES, "How the gateway proves itself."),
  ...headerInjection,
  headerInjection: z
    .strictObject(headerInjection)
    .optional()
    .describe("The fields of `header_injection` as one block."),
  tokenExchange: tokenExchange.optional().describe("Fields of `token_exchange`."),
  upstreamInject: z
    .strictObject({ providerName: nonEmptyText().describe("Name of the provider.") })
    .optional()
    .describe("Fields of `upstream_inject`."),
  awsSts: looseBlock("Fields of `aws_sts`."),
  obo: looseBlock("Fields of `obo`."),
  xaa: looseBlock("Fields of `xaa`."),
  oauth: looseBlock("Fields of `oauth`."),
  clientCredentials: tokenExchange.optional().describe("Fields of `client_credentials`."),
});

/** How the gateway proves itself to backends. */
export const outgoingAuthSchema = z
  .strictObject({
    source: refusing(
      z.enum(["inline", "discovered"]).default("inline"),
      ["discovered"],
      "Where strategies come from.",
    ),
    default: strategy
      .prefault({ type: "unauthenticated" })
      .describe("For HTTP backends that `backends` does not name."),
    backends: z
      .record(z.string(), strategy)
      .default({})
      .describe("Strategy by name of the backend."),
  })
  .prefault({})
  .describe("How the gateway proves itself to backends.");

export type StrategyInput = z.output<typeof strategy>;
