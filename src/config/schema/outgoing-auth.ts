import { z } from "zod";
import { refusing } from "./fields.ts";
import { STRATEGY_FIELDS } from "./outgoing-strategies.ts";

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

const { headerInjection, tokenExchange, clientCredentials } = STRATEGY_FIELDS;
const { upstreamInject, awsSts, xaa, oauth } = STRATEGY_FIELDS;

const strategy = z.strictObject({
  type: refusing(z.enum(STRATEGY_TYPES), ["obo"], "How the gateway proves itself."),
  ...headerInjection,
  ...clientCredentials,
  ...upstreamInject,
  ...awsSts,
  ...oauth,
  ...xaa,
  ...tokenExchange,
  headerInjection: z
    .strictObject(headerInjection)
    .optional()
    .describe("The fields of `header_injection` as one block."),
  tokenExchange: z
    .strictObject(tokenExchange)
    .optional()
    .describe("The fields of `token_exchange` as one block."),
  upstreamInject: z
    .strictObject(upstreamInject)
    .optional()
    .describe("The fields of `upstream_inject` as one block."),
  awsSts: z.strictObject(awsSts).optional().describe("The fields of `aws_sts` as one block."),
  obo: z.record(z.string(), z.unknown()).optional().describe("Fields of `obo`."),
  xaa: z.strictObject(xaa).optional().describe("The fields of `xaa` as one block."),
  oauth: z.strictObject(oauth).optional().describe("The fields of `oauth` as one block."),
  clientCredentials: z
    .strictObject(clientCredentials)
    .optional()
    .describe("The fields of `client_credentials` as one block."),
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
