import { describe, expect, test } from "vitest";
import { resolveConfig } from "./load-config.ts";
import { problemPathsOf, problemsOf, parse } from "./testing/parse.ts";

const ONE = "backends: [{name: b1, url: 'http://127.0.0.1:1/mcp'}]\n";

function text(strategy: string, more = ""): string {
  return `${ONE}outgoingAuth: {backends: {b1: ${strategy}}}\n${more}`;
}

const URL = "https://idp.example/token";

describe("a strategy that is not whole", () => {
  test.for([
    ["{type: token_exchange}", "tokenUrl"],
    ["{type: token_exchange, tokenExchange: {audience: a}}", "tokenExchange.tokenUrl"],
    [`{type: client_credentials, tokenUrl: '${URL}'}`, "clientId"],
    ["{type: upstream_inject}", "providerName"],
    ["{type: aws_sts, fallbackRoleArn: r}", "region"],
    ["{type: aws_sts, region: eu}", "fallbackRoleArn"],
    ["{type: aws_sts, region: eu, roleMappings: [{roleArn: r}]}", "roleMappings[0].claim"],
    [
      "{type: aws_sts, region: eu, roleMappings: [{claim: a, matcher: x, roleArn: r}]}",
      "roleMappings[0].matcher",
    ],
    [`{type: xaa, idpTokenUrl: '${URL}', targetTokenUrl: '${URL}'}`, "targetAudience"],
    [`{type: token_exchange, tokenUrl: '${URL}', clientSecret: s}`, "clientId"],
    [
      `{type: token_exchange, tokenUrl: '${URL}', clientId: c, clientSecretEnv: NONE}`,
      "clientSecretEnv",
    ],
    [
      `{type: token_exchange, tokenUrl: '${URL}', clientId: c, clientSecret: s, clientSecretEnv: A}`,
      "clientSecretEnv",
    ],
    ["{type: token_exchange, tokenUrl: 'http://idp.example/token'}", "tokenUrl"],
    ["{type: token_exchange, tokenUrl: 'http://169.254.169.254/token'}", "tokenUrl"],
    [`{type: token_exchange, tokenUrl: '${URL}', region: eu}`, "region"],
    ["{type: unauthenticated, scopes: [a]}", "scopes"],
    [`{type: token_exchange, tokenUrl: '${URL}', tokenExchange: {tokenUrl: '${URL}'}}`, "tokenUrl"],
    [`{type: token_exchange, tokenUrl: '${URL}', scopes: ['a b']}`, "scopes[0]"],
    [`{type: token_exchange, tokenUrl: '${URL}', resource: relative}`, "resource"],
    ["{type: aws_sts, region: eu, fallbackRoleArn: r, sessionDuration: 10}", "sessionDuration"],
  ] as const)("%s is refused at %s", ([strategy, field]) => {
    expect(problemPathsOf(text(strategy))).toContain(`outgoingAuth.backends.b1.${field}`);
  });

  test("of a type that there is not is refused, and the likeliest one is named", () => {
    const load = (): unknown => parse(text("{type: token_exchnge}"));

    expect(load).toThrow(/outgoingAuth\.backends\.b1\.type.*token_exchange/s);
    expect(load).toThrow('did you mean "token_exchange"?');
  });
});

test.for([
  ["https://gateway.example/oauth/callback", 0],
  ["https://gateway.example/behind/oauth/callback", 0],
  ["http://127.0.0.1:4483/oauth/callback", 0],
  ["http://gateway.example/oauth/callback", 1],
  ["https://gateway.example/callback", 1],
] as const)("browsers are sent back to %s with %i problems", ([uri, problems]) => {
  const found = problemPathsOf(text(`{type: oauth, oauth: {redirectUri: '${uri}'}}`));

  expect(found).toEqual(
    Array.from({ length: problems }, () => "outgoingAuth.backends.b1.oauth.redirectUri"),
  );
});

describe("a strategy that does not fit its backend", () => {
  test.for([
    "{type: token_exchange, tokenUrl: 'https://idp.example/token'}",
    "{type: oauth}",
    "{type: aws_sts, region: eu, fallbackRoleArn: r}",
  ])("%s is not for a program", (strategy) => {
    const config = `backends: [{name: b1, command: run}]\noutgoingAuth: {backends: {b1: ${strategy}}}\n`;

    expect(problemsOf(config)).toContain(
      "outgoingAuth.backends.b1: is for a stdio backend, which has no headers; use its env instead",
    );
  });

  test("is not for one that has its own authorization header", () => {
    const config = `backends: [{name: b1, url: 'http://127.0.0.1:1/mcp', headers: {Authorization: x}}]
outgoingAuth: {backends: {b1: {type: oauth}}}\n`;

    expect(problemPathsOf(config)).toContain("outgoingAuth.backends.b1");
  });

  test("names a provider that nobody signs in to", () => {
    expect(problemPathsOf(text("{type: upstream_inject, providerName: b1}"))).toContain(
      "outgoingAuth.backends.b1.providerName",
    );
  });

  test.for([
    "server: {workers: 2}\n",
    "server: {workers: auto}\n",
    "server: {host: 0.0.0.0}\nincomingAuth: {type: anonymous, allowInsecureAnonymous: true}\n",
  ])("lets no users sign in where they cannot be told apart, or kept together: %j", (more) => {
    expect(problemPathsOf(text("{type: oauth}", more))).toContain("outgoingAuth.backends.b1");
  });
});

test("a strategy that needs the client's token warns where clients have none", () => {
  const strategy = `{type: token_exchange, tokenUrl: '${URL}'}`;
  const oidc = "incomingAuth: {type: oidc, oidc: {issuer: 'https://i.example', audience: a}}\n";

  const warningsOf = (more: string): readonly string[] =>
    parse(text(strategy, more)).warnings.map(({ path }) => path);

  expect(warningsOf("")).toContain("outgoingAuth.backends.b1");
  expect(warningsOf(oidc)).not.toContain("outgoingAuth.backends.b1");
});

describe("what a strategy comes to", () => {
  function resolved(strategy: object): unknown {
    const { backends } = resolveConfig({
      backends: [{ name: "b1", url: "https://b.example/mcp" }],
      outgoingAuth: { backends: { b1: strategy } },
    });
    const [backend] = backends;
    return backend !== undefined && "outgoingAuth" in backend ? backend.outgoingAuth : undefined;
  }

  test("is nothing for fixed headers and none", () => {
    const header = { type: "header_injection", headerName: "x-a", headerValue: "v" };

    expect([resolved({ type: "unauthenticated" }), resolved(header)]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test("has the rest of AWS by default", () => {
    const strategy = {
      type: "aws_sts",
      region: "eu-west-1",
      roleMappings: [
        { claim: "last", roleArn: "l" },
        { claim: "second", roleArn: "s", priority: 2 },
        { claim: "first", roleArn: "f", priority: 0 },
      ],
    };

    expect(resolved(strategy)).toMatchObject({
      service: "aws-mcp",
      stsUrl: "https://sts.eu-west-1.amazonaws.com/",
      roleClaim: "groups",
      sessionDurationSeconds: 3_600,
      sessionNameClaim: "sub",
      roleMappings: [{ claim: "first" }, { claim: "second" }, { claim: "last" }],
    });
  });

  test.for([
    ["access_token", "access_token"],
    ["urn:ietf:params:oauth:token-type:id_token", "id_token"],
    ["urn:ietf:params:oauth:token-type:jwt", "jwt"],
  ] as const)("has the short name of the token type %s", ([subjectTokenType, short]) => {
    const strategy = { type: "token_exchange", tokenUrl: URL, subjectTokenType };

    expect(resolved(strategy)).toMatchObject({ subjectTokenType: short });
  });

  test.for([
    [{}, false],
    [{ authorizationServer: "https://issuer.example" }, false],
    [{ authorizationServer: "http://10.0.0.1" }, true],
  ] as const)(
    "lets a backend outside lead inside only by configuration: %j",
    ([more, isInside]) => {
      expect(resolved({ type: "oauth", ...more })).toMatchObject({ mayLeadInside: isInside });
    },
  );
});
