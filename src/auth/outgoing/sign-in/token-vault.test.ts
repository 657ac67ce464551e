import { inspect } from "node:util";
import { expect, test } from "vitest";
import { type StoredTokens, TokenVault } from "./token-vault.ts";

const TOKENS: StoredTokens = {
  accessToken: "ACCESS",
  refreshToken: "REFRESH",
  expiresAtMs: 1,
  tokenUrl: "https://issuer.example/token",
  client: { id: "c", secret: "CLIENT-SECRET" },
  resource: "https://b.example/mcp",
  scopes: ["a"],
};

test("what was put in comes back as it was, for its own user only", () => {
  const vault = new TokenVault([]);
  vault.put("alice", TOKENS);

  expect(vault.get("alice")).toEqual(TOKENS);
  expect([vault.get("bob"), vault.has("bob")]).toEqual([undefined, false]);
});

test("nothing of it can be read where it lies", () => {
  const vault = new TokenVault(["key"]);
  vault.put("alice", TOKENS);

  const seen = inspect(vault, { depth: 10, showHidden: true }) + JSON.stringify(vault);

  expect(seen).not.toMatch(/ACCESS|REFRESH|CLIENT-SECRET/);
});

test("what is deleted is gone, and what is put in again replaces it", () => {
  const vault = new TokenVault([]);
  vault.put("alice", TOKENS);
  vault.put("alice", { ...TOKENS, accessToken: "OTHER" });
  const replaced = vault.get("alice")?.accessToken;

  vault.delete("alice");

  expect([replaced, vault.has("alice"), vault.size]).toEqual(["OTHER", false, 0]);
});
