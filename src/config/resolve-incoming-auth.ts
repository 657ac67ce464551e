import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Environment } from "./references.ts";
import { lookUp } from "./references.ts";
import type { IncomingAuthInput } from "./schema/incoming-auth.ts";
import type { IncomingAuthConfig, OidcConfig } from "./vmcp-config.ts";

type OidcInput = NonNullable<NonNullable<IncomingAuthInput>["oidc"]>;
type KeyInput = NonNullable<NonNullable<IncomingAuthInput>["apiKey"]>["keys"][number];

export interface IncomingAuthContext {
  readonly env: Environment;
  readonly baseDir: string;
}

/** Expects input in which no check found a problem. */
export function resolveIncomingAuth(
  input: IncomingAuthInput,
  context: IncomingAuthContext,
): IncomingAuthConfig {
  const common = {
    isClientBound: input?.bindClient ?? false,
    toolScopes: input?.toolScopes ?? {},
  };
  if (input?.oidc !== undefined) {
    return { ...common, type: "oidc", oidc: resolveOidc(input.oidc, context) };
  }
  if (input?.apiKey !== undefined) {
    const keys = input.apiKey.keys.map((key) => ({
      id: key.id,
      sha256: hashOf(key),
      subject: key.subject,
      scopes: key.scopes,
    }));
    return { ...common, type: "apiKey", keys };
  }
  return { ...common, type: input?.type === "local" ? "local" : "anonymous" };
}

function resolveOidc(oidc: OidcInput, { env, baseDir }: IncomingAuthContext): OidcConfig {
  const { clientId: id, clientSecretEnv, caBundlePath } = oidc;
  const secret = clientSecretEnv === undefined ? undefined : lookUp(env, clientSecretEnv);
  return {
    issuer: oidc.issuer,
    audience: oidc.audience,
    resource: [oidc.resource, oidc.audience].find(isWebAddress),
    jwksUrl: oidc.jwksUrl,
    client: id === undefined || secret === undefined ? undefined : { id, secret },
    introspectionUrl: oidc.introspectionUrl,
    caBundlePath: caBundlePath === undefined ? undefined : resolve(baseDir, caBundlePath),
    scopes: oidc.scopes,
    allowPrivateAddresses: oidc.jwksAllowPrivateIp,
    allowHttp: oidc.insecureAllowHttp,
  };
}

/** Whether a text can stand for the endpoint where clients look for metadata. */
function isWebAddress(text: string | undefined): text is string {
  return text !== undefined && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function hashOf({ sha256, secret = "" }: KeyInput): string {
  return sha256?.toLowerCase() ?? createHash("sha256").update(secret).digest("hex");
}
