import aws4 from "aws4";
import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { BearerToken } from "../../src/domain/bearer-token.ts";
import type { Identity } from "../../src/domain/identity.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { IdentityProvider, TEST_CLIENT } from "../support/identity-provider.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";
import { ScriptedTokenEndpoint } from "../support/token-endpoint.ts";

function user(
  subject: string,
  claims: JsonObject = {},
  more: Partial<Extract<Identity, { kind: "verified" }>> = {},
): Identity {
  const issuer = "https://issuer.example";
  const token = new BearerToken(`CLIENT-TOKEN-of-${subject}`);
  return { kind: "verified", issuer, subject, claims, token, ...more };
}

const ALICE = user("alice");
const BOB = user("bob");

type Strategy = NonNullable<NonNullable<VmcpConfigInput["outgoingAuth"]>["default"]>;

function configOf(backend: HttpLedger, strategy: Strategy): VmcpConfigInput {
  return {
    backends: [{ name: "b1", url: backend.url }],
    outgoingAuth: { backends: { b1: strategy } },
  };
}

/** What the backend saw in that header of its calls. */
function called({ ledger }: HttpLedger, header = "authorization"): readonly unknown[] {
  return ledger.calls.map(({ headers }) => headers[header]);
}

describe("client_credentials", () => {
  test("is one token of the gateway's own for all users, from a real provider", async () => {
    await using provider = await IdentityProvider.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(
      configOf(backend, {
        type: "client_credentials",
        tokenUrl: `${provider.issuer}/token`,
        clientId: TEST_CLIENT.id,
        clientSecret: TEST_CLIENT.secret,
        resource: backend.url,
        scopes: ["mcp:read"],
      }),
    );
    await gateway.vmcp.probed();

    for (const identity of [ALICE, BOB]) {
      const session = await gateway.vmcp.openSession(identity);
      await session.callTool("echo", {});
    }

    expect(provider.asked("/token")).toBe(1);
    const [first, second] = called(backend);
    expect(first).toMatch(/^Bearer eyJ/);
    expect(second).toBe(first);
    expect(gateway.vmcp.health()).toMatchObject([{ state: "healthy" }]);
  });
});

describe("xaa", () => {
  const strategyAt = (idp: ScriptedTokenEndpoint, target: ScriptedTokenEndpoint): Strategy => ({
    type: "xaa",
    idpTokenUrl: idp.url,
    idpClientId: "gateway-at-idp",
    idpClientSecret: "idp-secret",
    targetTokenUrl: target.url,
    targetClientId: "gateway-at-target",
    targetClientSecret: "target-secret",
    targetAudience: "https://target.example",
    targetResource: "https://mcp.target.example",
    scopes: ["chat.read"],
  });

  test("takes an assertion of the user's provider to the target's server", async () => {
    await using idp = await ScriptedTokenEndpoint.start();
    await using target = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    idp.answer = () => ({
      body: {
        issued_token_type: "urn:ietf:params:oauth:token-type:id-jag",
        access_token: "THE-ASSERTION",
        token_type: "N_A",
        expires_in: 60,
      },
    });
    await using gateway = await startGateway(configOf(backend, strategyAt(idp, target)));
    const session = await gateway.vmcp.openSession(ALICE);

    await session.callTool("echo", {});
    await session.callTool("echo", {});

    expect(idp.asked.map(({ form }) => form)).toEqual([
      {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        requested_token_type: "urn:ietf:params:oauth:token-type:id-jag",
        subject_token: "CLIENT-TOKEN-of-alice",
        subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
        audience: "https://target.example",
        resource: "https://mcp.target.example",
        scope: "chat.read",
      },
    ]);
    expect(target.asked.map(({ form }) => form)).toEqual([
      {
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: "THE-ASSERTION",
        scope: "chat.read",
      },
    ]);
    const clients = [idp, target].map(({ asked }) => asked[0]?.headers.authorization);
    const decoded = clients.map((basic) => atob(basic?.replace("Basic ", "") ?? ""));
    expect(decoded.map(decodeURIComponent)).toEqual([
      "gateway-at-idp:idp-secret",
      "gateway-at-target:target-secret",
    ]);
    expect(called(backend)).toEqual(["Bearer token-1", "Bearer token-1"]);
  });

  test("shows the target's server nothing but an assertion", async () => {
    await using idp = await ScriptedTokenEndpoint.start();
    await using target = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, strategyAt(idp, target)));

    const session = await gateway.vmcp.openSession(ALICE);

    expect(session.backends()).toMatchObject([{ failure: { code: "backend_auth" } }]);
    expect(target.asked).toEqual([]);
  });
});

describe("aws_sts", () => {
  const KEYS = { accessKeyId: "AKID1", secretAccessKey: "SECRET1", sessionToken: "SESSION1" };

  const credentials = (expiresInMs: number): string =>
    `<AssumeRoleWithWebIdentityResponse><Result><Credentials>
       <AccessKeyId>${KEYS.accessKeyId}</AccessKeyId>
       <SecretAccessKey>${KEYS.secretAccessKey}</SecretAccessKey>
       <SessionToken>${KEYS.sessionToken}</SessionToken>
       <Expiration>${new Date(Date.now() + expiresInMs).toISOString()}</Expiration>
     </Credentials></Result></AssumeRoleWithWebIdentityResponse>`;

  const strategyAt = (sts: ScriptedTokenEndpoint): Strategy => ({
    type: "aws_sts",
    region: "eu-central-1",
    service: "execute-api",
    stsUrl: sts.url,
    roleMappings: [
      { claim: "admins", roleArn: "arn:aws:iam::1:role/admin", priority: 2 },
      { claim: "auditors", roleArn: "arn:aws:iam::1:role/audit", priority: 1 },
    ],
    fallbackRoleArn: "arn:aws:iam::1:role/other",
    sessionDuration: "30m",
  });

  test("takes on the role of the user and signs each request over its own bytes", async () => {
    await using sts = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    sts.answer = () => ({ body: credentials(3_600_000) });
    await using gateway = await startGateway(configOf(backend, strategyAt(sts)));
    const session = await gateway.vmcp.openSession(user("alice", { groups: ["admins"] }));

    await session.callTool("echo", { text: "grüße" });
    await session.callTool("echo", { text: "again" });

    expect(sts.asked.map(({ form }) => form)).toEqual([
      {
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: "arn:aws:iam::1:role/admin",
        RoleSessionName: "alice",
        DurationSeconds: "1800",
        WebIdentityToken: "CLIENT-TOKEN-of-alice",
      },
    ]);
    const calls = backend.ledger.messages.filter(({ method }) => method === "tools/call");
    expect(calls).toHaveLength(2);
    for (const { headers, text } of calls) {
      const again = aws4.sign(
        {
          method: "POST",
          path: "/mcp",
          region: "eu-central-1",
          service: "execute-api",
          body: text,
          headers: {
            host: `127.0.0.1:${String(backend.port)}`,
            "content-type": "application/json",
            "X-Amz-Date": String(headers["x-amz-date"]),
          },
        },
        KEYS,
      );
      expect(headers.authorization).toBe(again.headers?.["Authorization"]);
      expect(headers["x-amz-security-token"]).toBe("SESSION1");
    }
    expect(JSON.stringify(backend.requests)).not.toContain("CLIENT-TOKEN");
  });

  test.for([
    [["auditors", "admins"], "audit"],
    [["admins"], "admin"],
    [["nobody"], "other"],
    ["auditors", "audit"],
    [undefined, "other"],
  ] as const)("gives who is in %s the role %s", async ([groups, role]) => {
    await using sts = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    sts.answer = () => ({ body: credentials(3_600_000) });
    await using gateway = await startGateway(configOf(backend, strategyAt(sts)));
    const claims = groups === undefined ? {} : { groups: [groups].flat() };

    await gateway.vmcp.openSession(user("alice", claims));

    expect(sts.asked[0]?.form["RoleArn"]).toBe(`arn:aws:iam::1:role/${role}`);
  });

  test("asks for new keys where AWS says that a signature's have ended", async () => {
    await using sts = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    sts.answer = () => ({ body: credentials(3_600_000) });
    await using gateway = await startGateway(configOf(backend, strategyAt(sts)));
    const session = await gateway.vmcp.openSession(ALICE);
    let refusals = 0;
    backend.interceptWith((_request, _body, response) => {
      refusals += 1;
      if (refusals > 1) return false;
      response.writeHead(403).end("<Code>ExpiredTokenException</Code>");
      return true;
    });

    await session.callTool("echo", {});

    expect(sts.asked).toHaveLength(2);
    expect(backend.ledger.calls).toHaveLength(1);
  });

  test("says what STS calls its refusal, and nothing else of it", async () => {
    await using sts = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    const body = "<Error><Code>AccessDenied</Code><Message>SECRET-MESSAGE</Message></Error>";
    sts.answer = () => ({ status: 403, body });
    await using gateway = await startGateway(configOf(backend, strategyAt(sts)));

    const session = await gateway.vmcp.openSession(ALICE);

    const [standing] = session.backends();
    expect(standing?.failure?.message).toContain("AWS STS refused (AccessDenied)");
    expect(standing?.failure?.message).not.toContain("SECRET-MESSAGE");
  });
});
