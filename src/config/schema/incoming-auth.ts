import { z } from "zod";
import { authzSchema } from "./authz.ts";
import { envNameField, nonEmptyText } from "./fields.ts";

const httpsUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
    message: "must be an https:// URL",
  })
  .refine((text) => !URL.canParse(text) || new URL(text).username === "", {
    message: "must not hold a user name or password",
  });

/** RFC 6749 section 3.3; whatever else is in it would break out of a challenge. */
function scopeField(): z.ZodString {
  return z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "must be a scope, without blanks or quotes");
}

const oidc = z.strictObject({
  issuer: httpsUrl.describe(
    "Issuer of the tokens, exactly as its tokens name it; https unless `insecureAllowHttp`.",
  ),
  audience: nonEmptyText().describe("Audience that a token must name."),
  resource: nonEmptyText()
    .optional()
    .describe(
      "URL of the endpoint as clients know it, for the metadata that they look for; default the audience if that is a URL, else the address listened on.",
    ),
  clientId: nonEmptyText()
    .optional()
    .describe("Client id with which opaque tokens are introspected; without it they are refused."),
  clientSecretEnv: envNameField().optional().describe("Variable that holds the client secret."),
  introspectionUrl: httpsUrl
    .optional()
    .describe("Where opaque tokens are introspected, if not where the issuer's metadata says."),
  jwksUrl: httpsUrl
    .optional()
    .describe("Where the issuer's keys are, if not where its metadata says."),
  caBundlePath: nonEmptyText()
    .optional()
    .describe("PEM file of authorities trusted besides the built-in ones, towards the issuer."),
  scopes: z
    .array(scopeField())
    .default([])
    .describe("Scopes that every token must have; clients are told to ask for them."),
  jwksAllowPrivateIp: z
    .boolean()
    .default(false)
    .describe("Let the issuer be on a loopback or private address."),
  protectedResourceAllowPrivateIp: z
    .boolean()
    .default(false)
    .describe("Let `resource` name a loopback or private address."),
  insecureAllowHttp: z
    .boolean()
    .default(false)
    .describe("Let the issuer be without TLS, for tests: whoever is in between can forge tokens."),
});

const apiKey = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        id: nonEmptyText().describe("Name of the key, for policies and `bindClient`."),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")
          .optional()
          .describe("SHA-256 of the key."),
        secret: nonEmptyText().optional().describe("The key itself, as a reference."),
        subject: nonEmptyText()
          // oxlint-disable-next-line no-control-regex
          .regex(/^[^\x00-\x1f]*$/, "must not hold control characters")
          .describe("Subject that the key stands for."),
        scopes: z.array(scopeField()).default([]).describe("Scopes that the key grants."),
      }),
    )
    .min(1, "must list at least one key")
    .describe("The keys that are accepted."),
});

/** Who may call the gateway. */
export const incomingAuthSchema = z
  .strictObject({
    type: z
      .enum(["anonymous", "oidc", "local", "apiKey"])
      .describe(
        "How clients prove who they are: not at all, by tokens of an issuer, as users of this machine, or by keys.",
      ),
    allowInsecureAnonymous: z
      .boolean()
      .default(false)
      .describe("Serve anonymous clients also on an address that other machines can reach."),
    oidc: oidc.optional().describe("Tokens of an OpenID Connect issuer; for `type: oidc`."),
    apiKey: apiKey.optional().describe("Keys that clients send; for `type: apiKey`."),
    bindClient: z
      .boolean()
      .default(false)
      .describe(
        "A session belongs to the program that opened it as well as to its user: the client that a token names, or the API key.",
      ),
    toolScopes: z
      .record(z.string(), z.array(scopeField()).min(1, "must list at least one scope"))
      .default({})
      .describe("Scopes that a call of a tool needs, by the tool's advertised name."),
    authz: authzSchema,
  })
  .optional()
  .describe("Who may call. Absent means anonymous, which is allowed on a loopback address only.");

export type IncomingAuthInput = z.output<typeof incomingAuthSchema>;
