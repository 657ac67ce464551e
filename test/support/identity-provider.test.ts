import { createRemoteJWKSet, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { IdentityProvider, TEST_CLIENT } from "./identity-provider.ts";

const AUDIENCE = "https://gateway.example/mcp";

function keysOf({ issuer }: IdentityProvider) {
  return createRemoteJWKSet(new URL(`${issuer}/jwks`));
}

test("a token for a user is a JWT of the issuer for the audience", async () => {
  await using provider = await IdentityProvider.start();

  const token = await provider.tokenFor({
    subject: "alice",
    audience: AUDIENCE,
    scope: "mcp:read mcp:write",
  });

  const { payload } = await jwtVerify(token, keysOf(provider));
  expect(payload).toMatchObject({
    iss: provider.issuer,
    aud: AUDIENCE,
    sub: "alice",
    client_id: TEST_CLIENT.id,
    scope: "mcp:read mcp:write",
  });
});

test("an opaque token is told about by introspection", async () => {
  await using provider = await IdentityProvider.start({ tokenFormat: "opaque" });
  const token = await provider.tokenFor({ subject: "alice", audience: AUDIENCE });

  const answer = await fetch(`${provider.issuer}/token/introspection`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${TEST_CLIENT.id}:${TEST_CLIENT.secret}`)}` },
    body: new URLSearchParams({ token }),
  });

  expect(await answer.json()).toMatchObject({ active: true, sub: "alice", aud: AUDIENCE });
});

test("after a rotation that keeps nothing old tokens do not verify", async () => {
  await using provider = await IdentityProvider.start();
  const old = await provider.tokenFor({ subject: "alice", audience: AUDIENCE });

  await provider.rotateKeys({ keepOld: false });

  await expect(jwtVerify(old, keysOf(provider))).rejects.toMatchObject({
    code: "ERR_JWKS_NO_MATCHING_KEY",
  });
  const own = await provider.sign({ iss: provider.issuer, sub: "bob" });
  await expect(jwtVerify(own, keysOf(provider))).resolves.toBeDefined();
});

test("a paused provider is away until it resumes", async () => {
  await using provider = await IdentityProvider.start();

  await provider.pause();
  await expect(fetch(`${provider.issuer}/jwks`)).rejects.toThrow("fetch failed");
  await provider.resume();

  expect((await fetch(`${provider.issuer}/jwks`)).status).toBe(200);
  expect(provider.asked("/jwks")).toBe(1);
});
