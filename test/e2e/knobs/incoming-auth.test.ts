import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import { createVmcp } from "../../../src/app/create-vmcp.ts";
import { AUTHORITY, CERTIFICATE_KEY, GOOD_CERTIFICATE } from "../../support/certificates.ts";
import { IdentityProvider, TEST_CLIENT } from "../../support/identity-provider.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession, postMessage, sendRaw, type RawAnswer } from "../../support/raw-client.ts";
import { AUDIENCE, bearer, oidcFor, rightClaims } from "../auth-incoming-rig.ts";
import { INITIALIZE, postCall, startKnobs } from "./knob-gateway.ts";

type IncomingAuth = NonNullable<VmcpConfigInput["incomingAuth"]>;
type Oidc = NonNullable<IncomingAuth["oidc"]>;

const NOWHERE = [{ name: "b1", url: "http://127.0.0.1:1/mcp" }];
const KEY = "alice-0123456789abcdef";
const SECRETS = { CLIENT_SECRET: TEST_CLIENT.secret, WRONG_SECRET: "wrong", KEY };
const METADATA = "/.well-known/oauth-protected-resource";

let provider: IdentityProvider;

beforeAll(async () => {
  provider = await IdentityProvider.start();
});

afterAll(async () => provider[Symbol.asyncDispose]());

/** How a gateway of this kind answers a client that wants a session. */
async function answerOf(
  incomingAuth: IncomingAuth,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  await using gateway = await startKnobs({ backends: NOWHERE, incomingAuth }, SECRETS);
  return await postMessage(gateway.url, INITIALIZE, headers);
}

async function statusOf(
  oidc: Partial<Oidc>,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const all = { ...oidcFor(provider), ...oidc };
  return (await answerOf({ type: "oidc", oidc: all }, headers)).status;
}

async function rightToken(more: object = {}): Promise<Readonly<Record<string, string>>> {
  return bearer(await provider.sign({ ...rightClaims(provider), ...more }));
}

/** The document that a gateway publishes about itself. */
async function metadataOf(oidc: Partial<Oidc>): Promise<unknown> {
  const incomingAuth = { type: "oidc", oidc: { ...oidcFor(provider), ...oidc } } as const;
  await using gateway = await startKnobs({ backends: NOWHERE, incomingAuth });
  return JSON.parse((await sendRaw(new URL(METADATA, gateway.url).href)).text);
}

test.for([
  ["anonymous", {}, 200],
  ["local", {}, 200],
  ["apiKey", {}, 401],
  ["apiKey", { "x-api-key": KEY }, 200],
  ["oidc", {}, 401],
] as const)("incomingAuth.type: with %s, %j is answered %i", async ([type, headers, expected]) => {
  const apiKey = { keys: [{ id: "k", secret: KEY, subject: "alice" }] };
  const answer = await answerOf(
    {
      type,
      ...(type === "apiKey" && { apiKey }),
      ...(type === "oidc" && { oidc: oidcFor(provider) }),
    },
    headers,
  );

  expect(answer.status).toBe(expected);
});

test("incomingAuth.oidc.issuer: only its tokens are taken", async () => {
  await using other = await IdentityProvider.start();
  const token = await rightToken();

  expect(await statusOf({}, token)).toBe(200);
  expect(await statusOf({ issuer: other.issuer }, token)).toBe(401);
});

test("incomingAuth.oidc.audience: only tokens for it are taken", async () => {
  const token = await rightToken();

  expect(await statusOf({ audience: AUDIENCE }, token)).toBe(200);
  expect(await statusOf({ audience: "https://other.example/mcp" }, token)).toBe(401);
});

test("incomingAuth.oidc.resource: is what the metadata names", async () => {
  const resource = "https://tools.example/mcp";

  expect(await metadataOf({})).toMatchObject({ resource: AUDIENCE });
  expect(await metadataOf({ resource })).toMatchObject({ resource });
});

test("incomingAuth.oidc.protectedResourceAllowPrivateIp: lets the metadata name an address of this network", async () => {
  const resource = "http://127.0.0.1:4483/mcp";
  const protectedResourceAllowPrivateIp = true;

  await expect(metadataOf({ resource })).rejects.toThrow("private address");
  expect(await metadataOf({ resource, protectedResourceAllowPrivateIp })).toMatchObject({
    resource,
  });
});

test("incomingAuth.oidc.scopes: are asked for, and a token must have them", async () => {
  const scopes = ["mcp:write"];
  const token = await rightToken({ scope: "mcp:read" });

  expect(await statusOf({}, token)).toBe(200);
  expect(await statusOf({ scopes }, token)).toBe(403);
  expect(await metadataOf({ scopes })).toMatchObject({ scopes_supported: scopes });
});

test("incomingAuth.oidc.jwksUrl: is where the keys are, in place of what the issuer says", async () => {
  const token = await rightToken();

  expect(await statusOf({ jwksUrl: `${provider.issuer}/jwks` }, token)).toBe(200);
  expect(await statusOf({ jwksUrl: `${provider.issuer}/elsewhere` }, token)).toBe(503);
});

test("incomingAuth.oidc.jwksAllowPrivateIp: lets the issuer be in this network", async () => {
  const token = await rightToken();

  expect(await statusOf({ jwksAllowPrivateIp: true }, token)).toBe(200);
  await expect(statusOf({ jwksAllowPrivateIp: false }, token)).rejects.toThrow("private network");
});

test("incomingAuth.oidc.insecureAllowHttp: lets the issuer be without TLS", async () => {
  const token = await rightToken();

  expect(await statusOf({ insecureAllowHttp: true }, token)).toBe(200);
  await expect(statusOf({ insecureAllowHttp: false }, token)).rejects.toThrow("https://");
});

test("incomingAuth.oidc.caBundlePath: is what the issuer's certificate is trusted by", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-knobs-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const caBundlePath = join(folder, "ca.pem");
  writeFileSync(caBundlePath, AUTHORITY);
  const keys = await (await fetch(`${provider.issuer}/jwks`)).text();
  const origin = await serveTls((_request, response) => response.end(keys));
  const token = await rightToken();
  const jwksUrl = `${origin}/jwks`;

  expect(await statusOf({ jwksUrl }, token)).toBe(503);
  expect(await statusOf({ jwksUrl, caBundlePath }, token)).toBe(200);
});

async function serveTls(listener: RequestListener): Promise<string> {
  const server = createServer({ cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A listening TCP server has an address of this shape.
  return `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

test("incomingAuth.oidc.clientId: is who introspects opaque tokens, which are refused without it", async () => {
  const { headers, oidc } = await opaque();
  const client = { clientId: TEST_CLIENT.id, clientSecretEnv: "CLIENT_SECRET" };

  expect(await statusOf(oidc, headers)).toBe(401);
  expect(await statusOf({ ...oidc, ...client }, headers)).toBe(200);
  expect(await statusOf({ ...oidc, ...client, clientId: "other" }, headers)).toBe(503);
});

test("incomingAuth.oidc.clientSecretEnv: names the secret of who introspects", async () => {
  const { headers, oidc } = await opaque();
  const clientId = TEST_CLIENT.id;

  expect(await statusOf({ ...oidc, clientId, clientSecretEnv: "CLIENT_SECRET" }, headers)).toBe(
    200,
  );
  expect(await statusOf({ ...oidc, clientId, clientSecretEnv: "WRONG_SECRET" }, headers)).toBe(503);
});

test("incomingAuth.oidc.introspectionUrl: is where tokens are introspected, in place of what the issuer says", async () => {
  const { headers, oidc } = await opaque();
  const client = { clientId: TEST_CLIENT.id, clientSecretEnv: "CLIENT_SECRET" };
  const at = async (path: string): Promise<number> =>
    statusOf({ ...oidc, ...client, introspectionUrl: `${oidc.issuer}${path}` }, headers);

  expect(await at("/token/introspection")).toBe(200);
  expect(await at("/elsewhere")).toBe(503);
});

/** A token that says nothing by itself, and its issuer. */
async function opaque(): Promise<{
  readonly headers: Readonly<Record<string, string>>;
  readonly oidc: Oidc;
}> {
  const issuer = await IdentityProvider.start({ tokenFormat: "opaque" });
  onTestFinished(async () => issuer[Symbol.asyncDispose]());
  const token = await issuer.tokenFor({ subject: "alice", audience: AUDIENCE });
  return { headers: bearer(token), oidc: oidcFor(issuer) };
}

test("incomingAuth.apiKey.keys[].sha256: is the hash of a key that is taken", async () => {
  const sha256 = createHash("sha256").update(KEY).digest("hex");
  const apiKey = { keys: [{ id: "k", sha256, subject: "alice" }] };

  expect((await answerOf({ type: "apiKey", apiKey }, { "x-api-key": KEY })).status).toBe(200);
  expect((await answerOf({ type: "apiKey", apiKey }, { "x-api-key": sha256 })).status).toBe(401);
});

test("incomingAuth.apiKey.keys[].secret: is a key that is taken, from a reference", async () => {
  const apiKey = { keys: [{ id: "k", secret: "${env:KEY}", subject: "alice" }] };

  expect((await answerOf({ type: "apiKey", apiKey }, { "x-api-key": KEY })).status).toBe(200);
  expect((await answerOf({ type: "apiKey", apiKey }, { "x-api-key": "KEY" })).status).toBe(401);
});

/** Two keys, and a session that was opened with the first and is used with the second. */
async function withSecondKey(
  second: { readonly id?: string; readonly subject?: string; readonly scopes?: string[] },
  incomingAuth: Partial<IncomingAuth> = {},
): Promise<number> {
  await using backend = await startHttpLedger();
  const other = "other-0123456789abcdef";
  const keys = [
    { id: "k1", secret: KEY, subject: "alice" },
    { id: "k2", secret: other, subject: "alice", ...second },
  ];
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    incomingAuth: { type: "apiKey", apiKey: { keys }, ...incomingAuth },
  });
  const session = await openRawSession(gateway.url, { headers: { "x-api-key": KEY } });
  const call = { name: "echo", arguments: { text: "hello" } };
  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: call };
  const headers = { ...session.headers, "x-api-key": other };
  return (await postMessage(gateway.url, message, headers)).status;
}

test("incomingAuth.apiKey.keys[].subject: is whose sessions a key may use", async () => {
  expect(await withSecondKey({ subject: "alice" })).toBe(200);
  expect(await withSecondKey({ subject: "bob" })).toBe(404);
});

test("incomingAuth.apiKey.keys[].id: tells two keys of one subject apart where sessions belong to keys", async () => {
  await expect(withSecondKey({ id: "k1" })).rejects.toThrow("a name of its own");
  expect(await withSecondKey({ id: "k2" }, { bindClient: true })).toBe(404);
});

test("incomingAuth.apiKey.keys[].scopes: are what a key permits", async () => {
  const toolScopes = { echo: ["write"] };

  expect(await withSecondKey({ scopes: ["read"] }, { toolScopes })).toBe(403);
  expect(await withSecondKey({ scopes: ["read", "write"] }, { toolScopes })).toBe(200);
});

test("incomingAuth.bindClient: keeps the other keys of a subject out of a session", async () => {
  expect(await withSecondKey({}, { bindClient: false })).toBe(200);
  expect(await withSecondKey({}, { bindClient: true })).toBe(404);
});

test("incomingAuth.toolScopes: are what a call of a tool needs", async () => {
  const scopes = ["mcp:read"];

  expect(await withSecondKey({ scopes }, { toolScopes: { echo: ["mcp:admin"] } })).toBe(403);
  expect(await withSecondKey({ scopes }, { toolScopes: { echo: ["mcp:read"] } })).toBe(200);
});

test("limits.failedRequestsPerMinute: is how often an address may fail before it is told to wait", async () => {
  const statusesWith = async (failedRequestsPerMinute: number): Promise<readonly number[]> => {
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      limits: { failedRequestsPerMinute },
    });
    const session = await openRawSession(gateway.url);
    const headers = { ...session.headers, "mcp-session-id": "unknown" };
    const statuses: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      // oxlint-disable-next-line no-await-in-loop
      statuses.push((await postMessage(gateway.url, INITIALIZE, headers)).status);
    }
    return [...statuses, (await postCall(session, "echo", { text: "hello" })).status];
  };

  expect(await statusesWith(1)).toEqual([404, 429, 429, 200]);
  expect(await statusesWith(100)).toEqual([404, 404, 404, 200]);
});

test("a CA bundle that cannot be read keeps the gateway from starting", async () => {
  const oidc = { ...oidcFor(provider), caBundlePath: "/nowhere/ca.pem" };

  const starting = createVmcp({ backends: NOWHERE, incomingAuth: { type: "oidc", oidc } });

  await expect(starting).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringContaining("caBundlePath"),
  });
});
