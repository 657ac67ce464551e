import { onTestFinished } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { Gateway } from "../support/gateway.ts";
import { IdentityProvider, TEST_CLIENT } from "../support/identity-provider.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import type { LedgerBackend } from "../support/scripted-backend.ts";
import { startKnobs } from "./knobs/knob-gateway.ts";

/** The resource that tokens of these tests are for. */
export const AUDIENCE = "https://mcp.example/mcp";

export interface AuthRig {
  readonly gateway: Gateway;
  readonly backend: LedgerBackend;
  readonly provider: IdentityProvider;
  /** The headers of a client with a token of its own. */
  readonly as: (subject: string, scope?: string) => Promise<Readonly<Record<string, string>>>;
  /** Goes over to another way for clients to prove themselves; all else stays. */
  readonly reload: (incomingAuth: IncomingAuth) => Promise<void>;
}

type IncomingAuth = NonNullable<VmcpConfigInput["incomingAuth"]>;

export interface AuthRigOptions {
  readonly provider?: IdentityProvider;
  /** Besides what makes the provider the issuer. */
  readonly oidc?: Partial<NonNullable<IncomingAuth["oidc"]>>;
  readonly incomingAuth?: Partial<IncomingAuth>;
  readonly config?: Omit<VmcpConfigInput, "backends" | "incomingAuth">;
}

/** What makes a provider of a test the issuer of a gateway's tokens. */
export function oidcFor({ issuer }: IdentityProvider): NonNullable<IncomingAuth["oidc"]> {
  return { issuer, audience: AUDIENCE, insecureAllowHttp: true, jwksAllowPrivateIp: true };
}

/** A gateway whose clients prove themselves with tokens of a real provider, and one backend. Ends with the test. */
export async function startAuthRig(options: AuthRigOptions = {}): Promise<AuthRig> {
  const provider = options.provider ?? (await IdentityProvider.start());
  onTestFinished(async () => provider[Symbol.asyncDispose]());
  const backend = await startHttpLedger();
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const config = { ...options.config, backends: [{ name: "b1", url: backend.url }] };
  const incomingAuth: IncomingAuth = {
    type: "oidc",
    oidc: { ...oidcFor(provider), ...options.oidc },
    ...options.incomingAuth,
  };
  const gateway = await startKnobs(
    { ...config, incomingAuth },
    { CLIENT_SECRET: TEST_CLIENT.secret },
  );
  onTestFinished(async () => gateway[Symbol.asyncDispose]());
  return {
    gateway,
    backend,
    provider,
    as: async (subject, scope) =>
      bearer(await provider.tokenFor({ subject, audience: AUDIENCE, ...(scope && { scope }) })),
    reload: async (next) => {
      await gateway.vmcp.reload({ ...config, incomingAuth: next });
    },
  };
}

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}

/** Claims of a token that is right in all respects. */
export function rightClaims({ issuer }: IdentityProvider): Readonly<Record<string, unknown>> {
  const now = Math.floor(Date.now() / 1_000);
  return { iss: issuer, aud: AUDIENCE, sub: "alice", iat: now, exp: now + 300, scope: "mcp:read" };
}
