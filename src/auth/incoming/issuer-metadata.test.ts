import { expect, test } from "vitest";
import type { EgressFetch } from "../egress/egress.ts";
import { EgressError } from "../egress/egress-error.ts";
import { discoveryUrls, IssuerDiscovery } from "./issuer-metadata.ts";

const ISSUER = "https://idp.example/tenant";
const DOCUMENT = {
  issuer: ISSUER,
  jwks_uri: "https://idp.example/keys",
  introspection_endpoint: "https://idp.example/introspect",
};

/** Answers with a document where its URL contains `at`; 404 elsewhere. */
function serving(at: string, document: object, asked: string[] = []): EgressFetch {
  return async (url) => {
    asked.push(String(url));
    return String(url).includes(at) ? Response.json(document) : new Response("", { status: 404 });
  };
}

test.for([
  [
    "https://idp.example",
    [
      "https://idp.example/.well-known/openid-configuration",
      "https://idp.example/.well-known/oauth-authorization-server",
    ],
  ],
  [
    ISSUER,
    [
      "https://idp.example/tenant/.well-known/openid-configuration",
      "https://idp.example/.well-known/oauth-authorization-server/tenant",
      "https://idp.example/.well-known/openid-configuration/tenant",
    ],
  ],
] as const)("the metadata of %s is looked for at %j", ([issuer, expected]) => {
  expect(discoveryUrls(issuer)).toEqual(expected);
});

test.for([
  "/tenant/.well-known/openid",
  "/.well-known/oauth-",
  "/.well-known/openid-configuration/tenant",
])("metadata at %s is found", async (at) => {
  const discovery = new IssuerDiscovery(ISSUER, serving(at, DOCUMENT));

  expect(await discovery.metadata()).toEqual({
    jwksUri: DOCUMENT.jwks_uri,
    introspectionEndpoint: DOCUMENT.introspection_endpoint,
  });
});

test.for([
  ["another issuer", { ...DOCUMENT, issuer: "https://idp.example/other" }],
  ["the issuer with a slash more", { ...DOCUMENT, issuer: `${ISSUER}/` }],
  ["no issuer", { jwks_uri: DOCUMENT.jwks_uri }],
] as const)("metadata about %s is not taken", async ([, document]) => {
  const discovery = new IssuerDiscovery(ISSUER, serving("well-known", document));

  await expect(discovery.metadata()).rejects.toThrow("another issuer");
});

test("metadata is asked for once by all who want it, and again after an hour", async () => {
  let nowMs = 0;
  const asked: string[] = [];
  const discovery = new IssuerDiscovery(ISSUER, serving("/tenant/", DOCUMENT, asked), () => nowMs);

  await Promise.all([discovery.metadata(), discovery.metadata()]);
  await discovery.metadata();
  const before = asked.length;
  nowMs = 3_600_000;
  await discovery.metadata();

  expect([before, asked.length]).toEqual([1, 2]);
});

test("metadata that was had once is used while no other can be had", async () => {
  let nowMs = 0;
  let isAway = false;
  const fetch: EgressFetch = async (url) => {
    if (isAway) throw new EgressError("unreachable", "away");
    return serving("/tenant/", DOCUMENT)(url);
  };
  const discovery = new IssuerDiscovery(ISSUER, fetch, () => nowMs);
  const first = await discovery.metadata();

  isAway = true;
  nowMs = 3_600_000;

  expect(await discovery.metadata()).toEqual(first);
});

test("a place for keys that is no URL is none", async () => {
  const document = { ...DOCUMENT, jwks_uri: "keys" };
  const discovery = new IssuerDiscovery(ISSUER, serving("/tenant/", document));

  expect(await discovery.metadata()).toMatchObject({ jwksUri: undefined });
});

test("an issuer that does not answer is asked at one place only", async () => {
  const asked: string[] = [];
  const discovery = new IssuerDiscovery(ISSUER, async (url) => {
    asked.push(String(url));
    throw new EgressError("timeout", "no answer");
  });

  await expect(discovery.metadata()).rejects.toThrow("no answer");

  expect(asked).toHaveLength(1);
});
