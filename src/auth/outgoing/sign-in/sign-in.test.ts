import { expect, test } from "vitest";
import type { Identity } from "../../../domain/identity.ts";
import { EndpointBreakers } from "../endpoint-breakers.ts";
import { SignIn } from "./sign-in.ts";
import { TokenVault, type StoredTokens } from "./token-vault.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://issuer.example", subject: "alice" };
const URL_TEXT = "https://b.example/mcp";
const KEY = JSON.stringify(["b1", URL_TEXT, "https://issuer.example", "alice"]);
const REQUEST = { method: "POST", host: "b.example", path: "/mcp", headers: [], body: undefined };
const NOW_MS = 1_000_000;

function tokensOf(name: string, livesMs: number): StoredTokens {
  return {
    accessToken: `ACCESS-${name}`,
    refreshToken: `REFRESH-${name}`,
    expiresAtMs: NOW_MS + livesMs,
    tokenUrl: "https://as.example/token",
    client: { id: "vmcp" },
    resource: URL_TEXT,
    scopes: [],
  };
}

test.for<readonly [string, number, object]>([
  ["is refused", 400, { error: "invalid_grant" }],
  ["comes late", 200, { access_token: "ACCESS-late", token_type: "bearer", expires_in: 3_600 }],
])("a renewal that %s does not undo a sign-in that was finished meanwhile", async (row) => {
  const [, status, body] = row;
  const vault = new TokenVault([]);
  vault.put(KEY, tokensOf("old", 10_000));
  using signIn = new SignIn(
    { type: "oauth", scopes: [], mayLeadInside: false },
    {
      backend: "b1",
      url: URL_TEXT,
      vault,
      fetch: async () => {
        vault.put(KEY, tokensOf("new", 3_600_000));
        return Response.json(body, { status });
      },
      now: () => NOW_MS,
      redirectUri: () => undefined,
      begin: () => "ticket",
      isPending: () => false,
      linkTo: () => "https://gateway.example/oauth/start",
      breakers: new EndpointBreakers(() => 0),
      onFetched: () => {},
    },
  );

  const headers = await signIn.headersFor(ALICE, REQUEST);

  expect(headers).toEqual(["authorization", "Bearer ACCESS-new"]);
  expect(vault.get(KEY)?.refreshToken).toBe("REFRESH-new");
});
