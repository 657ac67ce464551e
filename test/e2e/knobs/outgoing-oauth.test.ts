import { expect, test } from "vitest";
import { type Fields, knobsOf, type StrategyRow } from "./strategy-knobs.ts";

const BASE: Fields = { clientId: "client", clientSecret: "secret" };

const ROWS: readonly StrategyRow[] = [
  [
    "clientId: is who the gateway is there",
    {},
    { clientId: "x" },
    { "asks client_id": "x", redeems: "x:secret" },
  ],
  ["clientSecret: is what it proves that with", {}, { clientSecret: "x" }, { redeems: "client:x" }],
  [
    "clientSecretEnv: names the variable that holds what it proves that with",
    {},
    { clientSecret: undefined, clientSecretEnv: "SECRET" },
    { redeems: "client:from the environment" },
  ],
  ["scopes: are asked for", {}, { scopes: ["a", "b"] }, { "asks scope": "a b" }],
  [
    "authorizationServer: is where users sign in",
    { authorizationServer: "http://127.0.0.1:1" },
    { authorizationServer: "${env:ISSUER}" },
    { "asks client_id": "client" },
  ],
  [
    "redirectUri: is where browsers reach the gateway",
    {},
    { redirectUri: "https://gateway.example/oauth/callback" },
    { link: "https://gateway.example" },
  ],
];

const { seen, resolved } = knobsOf("oauth", "oauth", BASE);

test.for(ROWS)("outgoingAuth.default.%s", async ([, before, after, expected]) => {
  expect(await seen("default", before)).not.toMatchObject(expected);
  expect(await seen("default", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.backends.NAME.%s", async ([, before, after, expected]) => {
  expect(await seen("backends", before)).not.toMatchObject(expected);
  expect(await seen("backends", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.default.oauth.%s", ([, before, after]) => {
  expect(resolved("default", "oauth", after)).toEqual(resolved("default", "flat", after));
  expect(resolved("default", "oauth", after)).not.toEqual(resolved("default", "oauth", before));
});

test.for(ROWS)("outgoingAuth.backends.NAME.oauth.%s", ([, before, after]) => {
  expect(resolved("backends", "oauth", after)).toEqual(resolved("backends", "flat", after));
  expect(resolved("backends", "oauth", after)).not.toEqual(resolved("backends", "oauth", before));
});
