import { expect, test } from "vitest";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { ClientProfile } from "./backend-connection.ts";
import { clientKindOf } from "./catalogues.ts";
import { ClientProfiles } from "./client-profiles.ts";

function profile(name: string, more: Partial<ClientProfile> = {}): ClientProfile {
  return { revision: "2025-11-25", capabilities: { roots: {} }, info: { name }, ...more };
}

function user(subject: string): Identity {
  return { kind: "verified", issuer: "https://issuer.example", subject };
}

test("clients that describe themselves alike share one profile", () => {
  const profiles = new ClientProfiles();
  const first = profiles.of(profile("a"), ANONYMOUS);

  const second = profiles.of(profile("a"), ANONYMOUS);

  expect(second.client).toBe(first.client);
  expect(second.clientKind).toBe(first.clientKind);
});

test("clients that come in turns share the profiles of their own kind", () => {
  const profiles = new ClientProfiles();
  const first = profiles.of(profile("a"), user("u"));
  const other = profiles.of(profile("a"), user("v"));

  const again = profiles.of(profile("a"), user("u"));
  const sameAgain = profiles.of(profile("a"), user("u"));

  expect(again).toBe(first);
  expect(sameAgain).toBe(first);
  expect(other.clientKind).not.toBe(first.clientKind);
});

test.for<[string, ClientProfile, Identity]>([
  ["something more to say", profile("a", { isAskedInCallsOnly: true }), ANONYMOUS],
  ["another name", profile("b"), ANONYMOUS],
  ["other capabilities", profile("a", { capabilities: {} }), ANONYMOUS],
  ["another revision", profile("a", { revision: "2025-06-18" }), ANONYMOUS],
  ["another address", profile("a", { address: "10.0.0.1" }), ANONYMOUS],
  ["another user", profile("a"), user("u")],
])("a client with %s keeps what it said of itself", ([_what, client, identity]) => {
  const profiles = new ClientProfiles();
  profiles.of(profile("a"), ANONYMOUS);

  const known = profiles.of(client, identity);

  expect(known).toEqual({ client, clientKind: clientKindOf(client, identity) });
  expect(known.client).toBe(client);
});

test("at most so many profiles are kept, and the one that was not used for longest goes first", () => {
  const profiles = new ClientProfiles();
  const first = profiles.of(profile("0"), ANONYMOUS).client;
  const second = profiles.of(profile("1"), ANONYMOUS).client;
  for (let count = 2; count < 64; count += 1) profiles.of(profile(String(count)), ANONYMOUS);
  profiles.of(profile("0"), ANONYMOUS);

  profiles.of(profile("64"), ANONYMOUS);

  expect(profiles.of(profile("0"), ANONYMOUS).client).toBe(first);
  expect(profiles.of(profile("1"), ANONYMOUS).client).not.toBe(second);
});

test("one that is long is not kept", () => {
  const profiles = new ClientProfiles();
  const long = profile("x".repeat(5_000));
  profiles.of(long, ANONYMOUS);

  const again = profiles.of(structuredClone(long), ANONYMOUS);

  expect(again.client).not.toBe(long);
});
