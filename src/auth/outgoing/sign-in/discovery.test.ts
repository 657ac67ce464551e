import { expect, test } from "vitest";
import type { EgressFetch } from "../../egress/egress.ts";
import { discover } from "./discovery.ts";

const URL = "https://b.example/team/mcp";
const ISSUER = "https://issuer.example/tenant";

const RESOURCE = {
  resource: URL,
  authorization_servers: [ISSUER, "https://second.example"],
  scopes_supported: ["a"],
};

const SERVER = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/authorize`,
  token_endpoint: `${ISSUER}/token`,
  code_challenge_methods_supported: ["S256"],
};

/** What is published where; everything else is not found. */
function find(published: Readonly<Record<string, object>>, more: object = {}) {
  const asked: string[] = [];
  const fetch: EgressFetch = async (url) => {
    const place = String(url);
    asked.push(place);
    const body = published[place];
    return new Response(JSON.stringify(body ?? {}), {
      status: body === undefined ? 404 : 200,
      headers: { "content-type": "application/json" },
    });
  };
  const options = { backend: "b1", url: URL, challenge: undefined, issuer: undefined, fetch };
  return { asked, found: discover({ ...options, ...more }) };
}

const RESOURCE_PLACES = [
  "https://b.example/.well-known/oauth-protected-resource/team/mcp",
  "https://b.example/.well-known/oauth-protected-resource",
];

const SERVER_PLACES = [
  "https://issuer.example/.well-known/oauth-authorization-server/tenant",
  "https://issuer.example/.well-known/openid-configuration/tenant",
  "https://issuer.example/tenant/.well-known/openid-configuration",
];

test.for(SERVER_PLACES.map((place, index) => [place, index] as const))(
  "a server that publishes at %s is found after the places before it",
  async ([place, index]) => {
    const { asked, found } = find({ [RESOURCE_PLACES[0] ?? ""]: RESOURCE, [place]: SERVER });

    expect(await found).toMatchObject({ server: SERVER, resource: URL, scopes: ["a"] });
    expect(asked).toEqual([RESOURCE_PLACES[0], ...SERVER_PLACES.slice(0, index + 1)]);
  },
);

test("the place that the challenge names is the only one that is asked", async () => {
  const named = "https://meta.example/of-b";
  const { asked, found } = find(
    { [named]: RESOURCE, [SERVER_PLACES[0] ?? ""]: SERVER },
    { challenge: `Bearer resource_metadata="${named}"` },
  );

  await found;

  expect(asked).toEqual([named, SERVER_PLACES[0]]);
});

test("a backend may speak for all of its origin, or for the part that it is in", async () => {
  for (const resource of ["https://b.example", "https://b.example/team"]) {
    const published = { ...RESOURCE, resource };
    const { found } = find({
      [RESOURCE_PLACES[1] ?? ""]: published,
      [SERVER_PLACES[0] ?? ""]: SERVER,
    });

    expect(await found).toMatchObject({ resource });
  }
});

test.for(["https://evil.example/team/mcp", "https://b.example/other", "https://b.example/te", 7])(
  "metadata about %s is not the backend's",
  async (resource) => {
    const { found } = find({ [RESOURCE_PLACES[0] ?? ""]: { ...RESOURCE, resource } });

    await expect(found).rejects.toMatchObject({ code: "backend_auth" });
  },
);

test("a backend without metadata is its own authorization server", async () => {
  const own = { ...SERVER, issuer: "https://b.example" };
  const { found } = find({ "https://b.example/.well-known/oauth-authorization-server": own });

  expect(await found).toMatchObject({ server: own, resource: URL, scopes: [] });
});

test("the issuer that the configuration names goes before the one that the backend names", async () => {
  const issuer = "https://second.example";
  const { found } = find(
    {
      [RESOURCE_PLACES[0] ?? ""]: RESOURCE,
      [`${issuer}/.well-known/oauth-authorization-server`]: { ...SERVER, issuer },
    },
    { issuer },
  );

  expect(await found).toMatchObject({ server: { issuer } });
});

test.for([
  ["names another issuer", { issuer: "https://evil.example" }],
  ["names its issuer in another spelling", { issuer: `${ISSUER}/` }],
  ["has no PKCE", { code_challenge_methods_supported: undefined }],
  ["has PKCE without S256", { code_challenge_methods_supported: ["plain"] }],
] as const)("a server that %s is not signed in at", async ([, changed]) => {
  const published = { ...SERVER, ...changed };
  const { found } = find({
    [RESOURCE_PLACES[0] ?? ""]: RESOURCE,
    [SERVER_PLACES[0] ?? ""]: published,
  });

  await expect(found).rejects.toMatchObject({ code: "backend_auth" });
});
