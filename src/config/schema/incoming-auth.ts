import { z } from "zod";
import { envNameField, ignored, nonEmptyText, refusing } from "./fields.ts";

const httpsUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
    message: "must be an https:// URL",
  })
  .refine((text) => !URL.canParse(text) || new URL(text).username === "", {
    message: "must not hold a user name or password",
  });

const oidc = z.strictObject({
  issuer: httpsUrl.describe("Issuer of the tokens; https unless `insecureAllowHttp`."),
  audience: nonEmptyText().describe("Audience that a token must name."),
  resource: nonEmptyText().optional().describe("Resource indicator; default the audience."),
  clientId: nonEmptyText().optional().describe("Client id for introspection."),
  clientSecretEnv: envNameField().optional().describe("Variable that holds the client secret."),
  introspectionUrl: httpsUrl.optional().describe("Where opaque tokens are checked."),
  jwksUrl: httpsUrl.optional().describe("Where the issuer's keys are, if not discovered."),
  caBundlePath: nonEmptyText().optional().describe("PEM file of additional authorities."),
  scopes: z.array(nonEmptyText()).optional().describe("Scopes that a token must have."),
  jwksAllowPrivateIp: z.boolean().optional().describe("Allow keys from a private address."),
  protectedResourceAllowPrivateIp: z
    .boolean()
    .optional()
    .describe("Allow a resource on a private address."),
  insecureAllowHttp: z.boolean().optional().describe("Allow an issuer without TLS."),
});

const apiKey = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        id: nonEmptyText().describe("Name of the key in logs."),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")
          .optional()
          .describe("Hash of the key."),
        secret: nonEmptyText().optional().describe("The key itself, as a reference."),
        subject: nonEmptyText().describe("Subject that the key stands for."),
        scopes: z.array(nonEmptyText()).optional().describe("Scopes that the key grants."),
      }),
    )
    .min(1, "must list at least one key")
    .describe("The keys that are accepted."),
});

const authz = z.strictObject({
  type: refusing(z.enum(["none", "cedar"]), ["cedar"], "Kind of policy."),
  policies: ignored(z.array(nonEmptyText()).optional(), "Cedar policies."),
  entitiesJson: ignored(nonEmptyText().optional(), "Cedar entities."),
  primaryUpstreamProvider: ignored(z.string().optional(), "Provider whose claims count."),
  groupClaimName: ignored(z.string().optional(), "Claim that lists groups."),
  roleClaimName: ignored(z.string().optional(), "Claim that lists roles."),
  groupEntityType: ignored(z.string().optional(), "Cedar type of a group."),
});

/** Who may call the gateway. This version serves anonymous clients only. */
export const incomingAuthSchema = z
  .strictObject({
    type: refusing(
      z.enum(["anonymous", "oidc", "local", "apiKey"]),
      ["oidc", "local", "apiKey"],
      "How clients prove who they are.",
    ),
    allowInsecureAnonymous: z
      .boolean()
      .default(false)
      .describe("Serve anonymous clients also on an address that other machines can reach."),
    oidc: oidc.optional().describe("Tokens of an OpenID Connect issuer; for `type: oidc`."),
    apiKey: apiKey.optional().describe("Keys that clients send; for `type: apiKey`."),
    authz: authz.optional().describe("What clients may do."),
  })
  .optional()
  .describe("Who may call. Absent means anonymous, which is allowed on a loopback address only.");
