import { createHmac, generateKeyPairSync } from "node:crypto";
import { CompactEncrypt, exportJWK, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { IdentityProvider, TEST_CLIENT } from "../../../test/support/identity-provider.ts";
import { SILENT_LOGGER } from "../../domain/logger.ts";
import type { AuthRequest } from "./client-auth.ts";
import { OidcAuth, type OidcAuthOptions } from "./oidc-auth.ts";

const AUDIENCE = "https://mcp.example/mcp";
const FACTS = { metadataUrl: "https://mcp.example/meta", scopes: ["openid"] };
const ATTACKER = generateKeyPairSync("rsa", { modulusLength: 2048 });
const JWKS = "/jwks";

beforeEach(() => {
  // Only the time that tokens and keys are judged by: sockets keep theirs.
  vi.useFakeTimers({ toFake: ["Date", "performance"], now: Date.now() });
});

afterEach(() => void vi.useRealTimers());

let provider: IdentityProvider;

beforeEach(async () => {
  provider = await IdentityProvider.start();
  return async () => provider[Symbol.asyncDispose]();
});

function start(options: Partial<OidcAuthOptions> = {}): OidcAuth {
  const auth = new OidcAuth({
    issuer: provider.issuer,
    audience: AUDIENCE,
    requiredScopes: [],
    isClientBound: false,
    facts: FACTS,
    allowHttp: true,
    allowPrivateAddresses: true,
    logger: SILENT_LOGGER,
    ...options,
  });
  onTestFinished(async () => auth[Symbol.asyncDispose]());
  return auth;
}

function requestWith(token: string): AuthRequest {
  // Nothing else of a request is looked at.
  return { headers: { authorization: `Bearer ${token}` }, url: "/mcp" } as unknown as AuthRequest;
}

function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1_000) + fromNow;
}

function claims(): Record<string, unknown> {
  const { issuer } = provider;
  return { iss: issuer, aud: AUDIENCE, sub: "alice", iat: seconds(0), exp: seconds(300) };
}

const REFUSED = { code: "unauthorized", challenge: expect.stringContaining("invalid_token") };

describe("a token that its issuer signed for us", () => {
  test("says who sends the request", async () => {
    const auth = start();
    const token = await provider.tokenFor({
      subject: "alice",
      audience: AUDIENCE,
      scope: "mcp:read mcp:write",
    });

    const identity = await auth.verify(requestWith(token));

    expect(identity).toMatchObject({
      kind: "verified",
      issuer: provider.issuer,
      subject: "alice",
      scopes: ["mcp:read", "mcp:write"],
      clientId: TEST_CLIENT.id,
      claims: { sub: "alice", aud: AUDIENCE },
    });
    expect(identity.kind === "verified" && identity.token?.reveal()).toBe(token);
    expect(JSON.stringify({ ...identity, claims: {} })).not.toContain(token);
  });

  test("is verified once and recalled after that", async () => {
    const auth = start();
    const request = requestWith(await provider.sign(claims()));

    const before = auth.recall(request);
    const [first, second] = await Promise.all([auth.verify(request), auth.verify(request)]);
    const after = auth.recall(request);

    expect(before).toBeUndefined();
    expect(second).toBe(first);
    expect(after).toBe(first);
    expect(provider.asked(JWKS)).toBe(1);
  });

  test("is recalled no longer than it holds", async () => {
    const auth = start();
    const request = requestWith(await provider.sign(claims()));
    await auth.verify(request);

    vi.setSystemTime(Date.now() + 361_000);

    expect(auth.recall(request)).toBeUndefined();
    await expect(auth.verify(request)).rejects.toMatchObject(REFUSED);
  });

  test.for([
    ["scope", "a b", ["a", "b"]],
    ["scp", ["a", "b"], ["a", "b"]],
    ["scp", "a", ["a"]],
    ["scope", 5, []],
  ] as const)("has the scopes of %s: %j", async ([name, value, expected]) => {
    const token = await provider.sign({ ...claims(), [name]: value });

    const identity = await start().verify(requestWith(token));

    expect(identity).toMatchObject({ scopes: expected });
  });

  test.for([
    ["a subject with delimiters", { sub: "a@b:tool:x/y" }],
    ["an audience among several", { aud: ["https://other.example", AUDIENCE] }],
    ["a clock that is a minute behind", { iat: () => seconds(55), nbf: () => seconds(55) }],
    ["an end less than a minute ago", { exp: () => seconds(-55) }],
  ] as const)("may have %s", async ([, changes]) => {
    const token = await provider.sign({ ...claims(), ...evaluated(changes) });

    await expect(start().verify(requestWith(token))).resolves.toMatchObject({ kind: "verified" });
  });

  test.for([
    ["has expired [auth A14]", { exp: () => seconds(-65) }],
    ["is not valid yet [auth A14]", { nbf: () => seconds(600) }],
    ["never expires [auth A14]", { exp: undefined }],
    ["was issued in the future [auth A14]", { iat: () => seconds(600) }],
    ["has an iat that is no time [auth A14]", { iat: "now" }],
    ["is for another audience [auth A11]", { aud: "https://other.example/api" }],
    ["is for an audience that only begins alike [auth A11]", { aud: `${AUDIENCE}/more` }],
    ["is for nobody", { aud: undefined }],
    ["is of another tenant [auth A5]", { iss: "https://tenant-b.example" }],
    ["is of an issuer with a slash more", { iss: () => `${provider.issuer}/` }],
    ["names no subject", { sub: undefined }],
    ["names an empty subject [auth A13]", { sub: "" }],
    ["names a number as subject [auth A13]", { sub: 123 }],
    ["names a subject with NUL [auth A13]", { sub: "alice\0admin" }],
  ] as const)("is refused where it %s", async ([, changes]) => {
    const token = await provider.sign({ ...claims(), ...evaluated(changes) });

    await expect(start().verify(requestWith(token))).rejects.toMatchObject(REFUSED);
  });

  test("is refused where it is of another kind than an access token", async () => {
    const token = await provider.sign(claims(), { typ: "logout+jwt" });

    await expect(start().verify(requestWith(token))).rejects.toMatchObject(REFUSED);
  });

  test("is refused with all scopes that are needed where it lacks one", async () => {
    const auth = start({ requiredScopes: ["mcp:read", "mcp:write"] });
    const request = requestWith(await provider.sign({ ...claims(), scope: "mcp:read" }));

    await expect(auth.verify(request)).rejects.toMatchObject({
      code: "insufficient_scope",
      challenge:
        'Bearer error="insufficient_scope", resource_metadata="https://mcp.example/meta", scope="mcp:read mcp:write"',
    });
    expect(auth.recall(request)).toBeUndefined();
  });

  test.for([
    [{ client_id: "c" }, "c"],
    [{ azp: "p" }, "p"],
    [{}, ""],
  ] as const)("of %j is bound to its client where that is asked for", async ([more, boundTo]) => {
    const token = await provider.sign({ ...claims(), ...more });

    const identity = await start({ isClientBound: true }).verify(requestWith(token));

    expect(identity).toMatchObject({ boundTo });
  });
});

describe("a token that nobody signed who may is refused without asking anybody but the issuer [auth A12]", () => {
  const { privateKey, publicKey } = ATTACKER;
  const encode = (value: object): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = (header: object): string => `${encode(header)}.${encode(claims())}.`;
  const byAttacker = async (header: object): Promise<string> =>
    new SignJWT(claims()).setProtectedHeader({ alg: "RS256", ...header }).sign(privateKey);

  test.for<readonly [string, () => Promise<string>]>([
    ["alg none", async () => unsigned({ alg: "none" })],
    ["alg None", async () => unsigned({ alg: "None" })],
    ["HMAC with the public key", async () => hmacToken(claims())],
    ["a key of its own", async () => byAttacker({ jwk: await exportJWK(publicKey) })],
    ["jku and x5u", async () => byAttacker({ jku: `${trapUrl()}/a`, x5u: `${trapUrl()}/b` })],
    ["the right key id", async () => byAttacker({ kid: await keyId() })],
    ["a key id that is a path", async () => byAttacker({ kid: "../../../../dev/null" })],
    ["a key id of SQL", async () => byAttacker({ kid: "' UNION SELECT 'x'; $(id)" })],
    ["one bit changed", async () => tampered(await provider.sign(claims()))],
    ["no payload", async () => `${encode({ alg: "RS256" })}..x`],
    ["dots", async () => ".".repeat(12_000)],
    ["text", async () => "opaque"],
    ["16 KiB and more", async () => "x".repeat(16_385)],
    ["encryption", async () => encrypted()],
  ])("with %s", async ([, make]) => {
    const auth = start();
    const asked = provider.requests.length;

    await expect(auth.verify(requestWith(await make()))).rejects.toMatchObject(REFUSED);

    const others = provider.requests.slice(asked).filter((line) => line.includes("trap"));
    expect(others).toEqual([]);
  });

  function trapUrl(): string {
    return `${provider.issuer}/trap`;
  }

  async function keyId(): Promise<string> {
    const token = await provider.sign(claims());
    // A header has this shape.
    const header = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as {
      kid: string;
    };
    return header.kid;
  }

  function hmacToken(content: object): string {
    const secret = publicKey.export({ type: "spki", format: "pem" });
    const signed = `${encode({ alg: "HS256" })}.${encode(content)}`;
    return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  }

  async function encrypted(): Promise<string> {
    return new CompactEncrypt(Buffer.from(JSON.stringify(claims())))
      .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM" })
      .encrypt(publicKey);
  }

  function tampered(token: string): string {
    const [header = "", , signature = ""] = token.split(".");
    return `${header}.${encode({ ...claims(), sub: "bob" })}.${signature}`;
  }
});

describe("the issuer's keys", () => {
  test("are asked for anew at an unknown key id, once per cool-down [F38] [auth A22]", async () => {
    const auth = start();
    await auth.verify(requestWith(await provider.sign(claims())));
    await provider.rotateKeys();
    const renewed = requestWith(await provider.sign(claims()));

    await expect(auth.verify(renewed)).rejects.toMatchObject(REFUSED);
    const duringCoolDown = provider.asked(JWKS);
    vi.setSystemTime(Date.now() + 11_000);
    await expect(auth.verify(renewed)).resolves.toMatchObject({ subject: "alice" });
    for (let index = 0; index < 20; index += 1) {
      const token = provider.sign(claims(), { kid: `unknown-${String(index)}` });
      // One after the other, as an attacker would do who waits for answers.
      // oxlint-disable-next-line no-await-in-loop
      await expect(auth.verify(requestWith(await token))).rejects.toMatchObject(REFUSED);
    }

    expect(duringCoolDown).toBe(1);
    expect(provider.asked(JWKS)).toBe(2);
  });

  test("that are withdrawn end what they signed at the next look [auth A22]", async () => {
    const auth = start();
    const old = requestWith(await provider.sign(claims()));
    await auth.verify(old);

    await provider.rotateKeys({ keepOld: false });
    vi.setSystemTime(Date.now() + 11_000);
    await auth.verify(requestWith(await provider.sign(claims())));

    expect(auth.recall(old)).toBeUndefined();
    await expect(auth.verify(old)).rejects.toMatchObject(REFUSED);
  });

  test("that are withdrawn are refused within ten minutes though nobody asks for others [auth A23]", async () => {
    const auth = start();
    const old = requestWith(await provider.sign({ ...claims(), exp: seconds(3_600) }));
    await auth.verify(old);
    await provider.rotateKeys({ keepOld: false });

    vi.setSystemTime(Date.now() + 599_000);
    const justBefore = auth.recall(old);
    vi.setSystemTime(Date.now() + 2_000);
    const justAfter = auth.recall(old);

    expect([justBefore === undefined, justAfter]).toEqual([false, undefined]);
    await expect(auth.verify(old)).rejects.toMatchObject(REFUSED);
  });

  test("outlast an outage of the issuer until their age is up, and are had again after it [F38]", async () => {
    const auth = start();
    const token = async (): Promise<AuthRequest> =>
      requestWith(await provider.sign({ ...claims(), jti: String(Math.random()) }));
    await auth.verify(await token());
    await provider.pause();

    vi.setSystemTime(Date.now() + 590_000);
    await expect(auth.verify(await token())).resolves.toMatchObject({ subject: "alice" });
    vi.setSystemTime(Date.now() + 11_000);
    await expect(auth.verify(await token())).rejects.toMatchObject({
      code: "auth_unavailable",
      retryAfterSeconds: 2,
    });
    await provider.resume();
    vi.advanceTimersByTime(2_000);

    await expect(auth.verify(await token())).resolves.toMatchObject({ subject: "alice" });
  });

  test("are asked for again ahead of their end, so that an outage finds us with them [F38]", async () => {
    const auth = start();
    await auth.verify(requestWith(await provider.sign(claims())));

    vi.setSystemTime(Date.now() + 301_000);
    await auth.verify(requestWith(await provider.sign(claims())));

    await expect.poll(() => provider.asked(JWKS)).toBe(2);
  });

  test.for([
    ["HTML", "<html>"],
    ["JSON that is no key set", '{"keys":5}'],
  ])("that come as %s are no keys, which is not the token's fault [F38]", async ([, text]) => {
    const auth = start();
    const request = requestWith(await provider.sign(claims()));
    provider.fail(({ url }) => (url === JWKS ? text : undefined));

    await expect(auth.verify(request)).rejects.toMatchObject({ code: "auth_unavailable" });
  });

  test("that cannot be had are asked for once per cool-down, and the log says so once [F38]", async () => {
    const warnings: string[] = [];
    const logger = { ...SILENT_LOGGER, warn: (message: string) => void warnings.push(message) };
    const auth = start({ logger });
    const token = await provider.sign(claims());
    await provider.pause();

    for (let index = 0; index < 5; index += 1) {
      // One after the other, so that each finds the failure of the one before.
      // oxlint-disable-next-line no-await-in-loop
      await expect(auth.verify(requestWith(token))).rejects.toMatchObject({
        code: "auth_unavailable",
      });
    }

    expect(warnings).toEqual(["the issuer of tokens does not answer"]);
  });

  test("are given up where the issuer never answers [F38]", async () => {
    const auth = start({ timeoutMs: 50 });
    const request = requestWith(await provider.sign(claims()));
    provider.fail(() => "hang");

    await expect(auth.verify(request)).rejects.toMatchObject({ code: "auth_unavailable" });
  });

  test("are taken from the configured place, without asking for metadata", async () => {
    const auth = start({ jwksUrl: `${provider.issuer}${JWKS}` });

    await auth.verify(requestWith(await provider.sign(claims())));

    expect(provider.requests).toEqual([`GET ${JWKS}`]);
  });

  test("are not asked for where they must not be [F35]", async () => {
    const auth = start({ allowPrivateAddresses: false });
    const request = requestWith(await provider.sign(claims()));

    await expect(auth.verify(request)).rejects.toMatchObject({ code: "auth_unavailable" });

    expect(provider.requests).toEqual([]);
  });

  test("of an issuer whose metadata is about another one are not taken", async () => {
    const auth = start();
    const document = JSON.stringify({ issuer: "https://other.example", jwks_uri: "https://x/" });
    provider.fail(({ url }) => (url?.includes("well-known") === true ? document : undefined));

    const verifying = auth.verify(requestWith(await provider.sign(claims())));

    await expect(verifying).rejects.toMatchObject({ code: "auth_unavailable" });
  });
});

describe("an opaque token", () => {
  const client = { id: TEST_CLIENT.id, secret: TEST_CLIENT.secret };

  beforeEach(async () => {
    await provider[Symbol.asyncDispose]();
    provider = await IdentityProvider.start({ tokenFormat: "opaque" });
  });

  test("is introspected once, where the issuer's metadata says", async () => {
    const auth = start({ client });
    const request = requestWith(await provider.tokenFor({ subject: "alice", audience: AUDIENCE }));

    const identity = await auth.verify(request);

    expect(identity).toMatchObject({ subject: "alice", clientId: client.id, scopes: ["mcp:read"] });
    expect(auth.recall(request)).toBe(identity);
    expect(provider.asked("/token/introspection")).toBe(1);
  });

  test("is introspected again after a minute, so that it can be taken back", async () => {
    const auth = start({ client });
    const request = requestWith(await provider.tokenFor({ subject: "alice", audience: AUDIENCE }));
    await auth.verify(request);

    vi.setSystemTime(Date.now() + 60_000);

    expect(auth.recall(request)).toBeUndefined();
  });

  test.for<readonly [string, () => Promise<string>]>([
    ["nobody issued", async () => "unknown-token"],
    ["is for another audience [auth A11]", async () => tokenFor("https://other.example/api")],
  ])("that %s is refused", async ([, make]) => {
    const auth = start({ client });

    await expect(auth.verify(requestWith(await make()))).rejects.toMatchObject(REFUSED);
  });

  async function tokenFor(audience: string): Promise<string> {
    return provider.tokenFor({ subject: "alice", audience });
  }

  test("is refused where nobody may introspect it", async () => {
    const token = await tokenFor(AUDIENCE);

    await expect(start().verify(requestWith(token))).rejects.toMatchObject(REFUSED);
    expect(provider.asked("/token/introspection")).toBe(0);
  });

  test.for([
    ["the secret is wrong", { client: { id: TEST_CLIENT.id, secret: "wrong" } }],
    ["the place is wrong", { client, introspectionUrl: "http://127.0.0.1:1/" }],
  ] as const)("cannot be judged where %s", async ([, options]) => {
    const token = await tokenFor(AUDIENCE);

    await expect(start(options).verify(requestWith(token))).rejects.toMatchObject({
      code: "auth_unavailable",
    });
  });
});

test("a token in the address is refused and not looked at", async () => {
  const token = await provider.sign(claims());
  // Nothing else of a request is looked at.
  const request = { headers: {}, url: `/mcp?access_token=${token}` } as unknown as AuthRequest;

  await expect(start().verify(request)).rejects.toMatchObject(REFUSED);
  expect(provider.requests).toEqual([]);
});

test("without a token the challenge names no error", async () => {
  // Nothing else of a request is looked at.
  const request = { headers: {}, url: "/mcp" } as unknown as AuthRequest;

  await expect(start().verify(request)).rejects.toMatchObject({
    code: "unauthorized",
    challenge: 'Bearer resource_metadata="https://mcp.example/meta", scope="openid"',
  });
});

test("whoever names a session has lost a proof, which is told as one that does not hold", async () => {
  const headers = { "mcp-session-id": "any" };
  // Nothing else of a request is looked at.
  const request = { headers, url: "/mcp" } as unknown as AuthRequest;

  await expect(start().verify(request)).rejects.toMatchObject(REFUSED);
});

/** Claims that depend on the time are made when they are wanted. */
function evaluated(changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [
      name,
      typeof value === "function" ? value() : value,
    ]),
  );
}
