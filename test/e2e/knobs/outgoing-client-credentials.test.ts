import { expect, test } from "vitest";
import { type Fields, knobsOf, type StrategyRow } from "./strategy-knobs.ts";

const BASE: Fields = {
  tokenUrl: "${env:TOKENS}",
  clientId: "client",
  clientSecret: "secret",
};

const ROWS: readonly StrategyRow[] = [
  [
    "tokenUrl: is where tokens are asked for",
    {},
    { tokenUrl: "${env:TOKENS}/2" },
    { path: "/token/2" },
  ],
  ["clientId: is who the gateway is there", {}, { clientId: "other" }, { client: "other:secret" }],
  [
    "clientSecret: is what it proves that with",
    {},
    { clientSecret: "s2" },
    { client: "client:s2" },
  ],
  [
    "clientSecretEnv: names the variable that holds what it proves that with",
    {},
    { clientSecret: undefined, clientSecretEnv: "SECRET" },
    { client: "client:from the environment" },
  ],
  ["audience: is whom tokens are for", {}, { audience: "b1" }, { audience: "b1" }],
  [
    "resource: is what tokens are for",
    {},
    { resource: "https://r.example" },
    { resource: "https://r.example" },
  ],
  ["scopes: are asked for", {}, { scopes: ["a", "b"] }, { scope: "a b" }],
];

const { seen, resolved } = knobsOf("client_credentials", "clientCredentials", BASE);

test.for(ROWS)("outgoingAuth.default.%s", async ([, before, after, expected]) => {
  expect(await seen("default", before)).not.toMatchObject(expected);
  expect(await seen("default", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.backends.NAME.%s", async ([, before, after, expected]) => {
  expect(await seen("backends", before)).not.toMatchObject(expected);
  expect(await seen("backends", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.default.clientCredentials.%s", ([, before, after]) => {
  expect(resolved("default", "clientCredentials", after)).toEqual(
    resolved("default", "flat", after),
  );
  expect(resolved("default", "clientCredentials", after)).not.toEqual(
    resolved("default", "clientCredentials", before),
  );
});

test.for(ROWS)("outgoingAuth.backends.NAME.clientCredentials.%s", ([, before, after]) => {
  expect(resolved("backends", "clientCredentials", after)).toEqual(
    resolved("backends", "flat", after),
  );
  expect(resolved("backends", "clientCredentials", after)).not.toEqual(
    resolved("backends", "clientCredentials", before),
  );
});
