import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ANONYMOUS, isSameIdentity, type Identity } from "../domain/identity.ts";
import { IdentityQuota } from "./identity-quota.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://idp", subject: "alice" };
const BOB: Identity = { kind: "verified", issuer: "https://idp", subject: "bob" };

test("a client at its limit is refused, another one is not", () => {
  const quota = new IdentityQuota(2);
  quota.claim("a1", ALICE);
  quota.claim("a2", ALICE);

  expect(() => quota.claim("a3", ALICE)).toThrow(
    expect.objectContaining({ code: "too_many_sessions", retryAfterSeconds: 30 }),
  );
  expect(() => quota.requireRoom(ALICE)).toThrow("too many sessions");
  expect(() => quota.claim("b1", BOB)).not.toThrow();
});

test("a session that has gone makes room once, however often it is released", () => {
  const quota = new IdentityQuota(1);
  quota.claim("a1", ALICE);

  quota.release("a1");
  quota.release("a1");
  quota.claim("a2", ALICE);

  expect(() => quota.claim("a3", ALICE)).toThrow("too many sessions");
});

test("anonymous clients are not counted", () => {
  const quota = new IdentityQuota(1);

  for (const id of ["1", "2", "3"]) quota.claim(id, ANONYMOUS);

  expect(() => quota.requireRoom(ANONYMOUS)).not.toThrow();
});

test("the refusal names no number", () => {
  const quota = new IdentityQuota(1);
  quota.claim("a1", ALICE);

  expect(() => quota.requireRoom(ALICE)).toThrow(/^[^0-9]*$/);
});

test("two identities share a quota only if they are the same, whatever their names are made of", () => {
  const text = fc.string({
    maxLength: 4,
    unit: fc.constantFrom('"', ",", "[", "a", "\u0000", "\\"),
  });
  const identity = fc.record({
    kind: fc.constant("verified" as const),
    issuer: text,
    subject: text,
  });

  fc.assert(
    fc.property(identity, identity, (one, other) => {
      const quota = new IdentityQuota(1);
      quota.claim("1", one);
      const isRefused = ((): boolean => {
        try {
          quota.requireRoom(other);
          return false;
        } catch {
          return true;
        }
      })();

      expect(isRefused).toBe(isSameIdentity(one, other));
    }),
  );
});
