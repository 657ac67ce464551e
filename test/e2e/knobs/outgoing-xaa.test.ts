import { expect, test } from "vitest";
import { type Fields, knobsOf, type StrategyRow } from "./strategy-knobs.ts";

const BASE: Fields = {
  idpTokenUrl: "${env:TOKENS}",
  idpClientId: "client",
  idpClientSecret: "secret",
  targetTokenUrl: "${env:TARGET}",
  targetClientId: "client",
  targetClientSecret: "secret",
  targetAudience: "https://target.example",
};

const PUBLIC = { targetTokenUrl: "http://target.example/token" };

const ROWS: readonly StrategyRow[] = [
  [
    "idpTokenUrl: is where assertions are asked for",
    {},
    { idpTokenUrl: "${env:TOKENS}/2" },
    { path: "/token/2" },
  ],
  ["idpClientId: is who the gateway is there", {}, { idpClientId: "x" }, { client: "x:secret" }],
  [
    "idpClientSecret: is what it proves that with",
    {},
    { idpClientSecret: "x" },
    { client: "client:x" },
  ],
  [
    "idpClientSecretEnv: names the variable that holds what it proves that with",
    {},
    { idpClientSecret: undefined, idpClientSecretEnv: "SECRET" },
    { client: "client:from the environment" },
  ],
  [
    "targetTokenUrl: is where tokens are asked for",
    {},
    { targetTokenUrl: "${env:TARGET}/2" },
    { targetPath: "/token/2" },
  ],
  [
    "targetClientId: is who the gateway is there",
    {},
    { targetClientId: "x" },
    { targetClient: "x:secret" },
  ],
  [
    "targetClientSecret: is what it proves that with",
    {},
    { targetClientSecret: "x" },
    { targetClient: "client:x" },
  ],
  [
    "targetClientSecretEnv: names the variable that holds what it proves that with",
    {},
    { targetClientSecret: undefined, targetClientSecretEnv: "SECRET" },
    { targetClient: "client:from the environment" },
  ],
  [
    "targetAudience: is whom assertions are for",
    {},
    { targetAudience: "https://x.example" },
    { audience: "https://x.example" },
  ],
  [
    "targetResource: is what tokens are for",
    {},
    { targetResource: "https://x.example" },
    { resource: "https://x.example" },
  ],
  [
    "insecureTargetTokenUrl: accepts an address in clear text",
    PUBLIC,
    { ...PUBLIC, insecureTargetTokenUrl: true },
    { path: "/token" },
  ],
  ["scopes: are asked for", {}, { scopes: ["a", "b"] }, { scope: "a b" }],
  [
    "subjectTokenType: says what the user's token is",
    {},
    { subjectTokenType: "jwt" },
    { subject_token_type: "urn:ietf:params:oauth:token-type:jwt" },
  ],
  [
    "subjectProviderName: is the backend whose sign-in gives the user's token",
    {},
    { subjectProviderName: "p1" },
    { failure: expect.stringContaining('"p1" needs its user to sign in') },
  ],
];

const { seen, resolved } = knobsOf("xaa", "xaa", BASE);

test.for(ROWS)("outgoingAuth.default.%s", async ([, before, after, expected]) => {
  expect(await seen("default", before)).not.toMatchObject(expected);
  expect(await seen("default", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.backends.NAME.%s", async ([, before, after, expected]) => {
  expect(await seen("backends", before)).not.toMatchObject(expected);
  expect(await seen("backends", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.default.xaa.%s", ([, before, after]) => {
  expect(resolved("default", "xaa", after)).toEqual(resolved("default", "flat", after));
  expect(resolved("default", "xaa", after)).not.toEqual(resolved("default", "xaa", before));
});

test.for(ROWS)("outgoingAuth.backends.NAME.xaa.%s", ([, before, after]) => {
  expect(resolved("backends", "xaa", after)).toEqual(resolved("backends", "flat", after));
  expect(resolved("backends", "xaa", after)).not.toEqual(resolved("backends", "xaa", before));
});
