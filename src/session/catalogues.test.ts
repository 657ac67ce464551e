import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { capabilitySet } from "../../test/support/fake-backends.ts";
import { Catalogues, clientKindOf } from "./catalogues.ts";

const A = parseBackendName("a");
const B = parseBackendName("b");
const FRESH_MS = 60_000;

function at(startMs = 0) {
  const clock = { nowMs: startMs };
  return { clock, catalogues: new Catalogues(() => clock.nowMs) };
}

test("what a session was offered is offered to the next of its kind, for a minute", () => {
  const { clock, catalogues } = at();
  const known = catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));

  clock.nowMs = FRESH_MS;
  const inTime = catalogues.fresh(A, "x");
  clock.nowMs = FRESH_MS + 1;

  expect(inTime).toBe(known);
  expect(catalogues.fresh(A, "x")).toBeUndefined();
  expect(catalogues.lastKnown(A, "x")).toBe(known);
});

test("lists that a session was told instead of asking get no younger by that", () => {
  const { clock, catalogues } = at();
  const fetched = catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));
  clock.nowMs = FRESH_MS;

  catalogues.remember(A, "x", fetched);
  clock.nowMs = FRESH_MS + 1;
  const toldAgain = catalogues.fresh(A, "x");
  catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));

  expect(toldAgain).toBeUndefined();
  expect(catalogues.fresh(A, "x")).toBe(fetched);
});

test.for([
  [300_000, 300_000],
  [20_000, 20_000],
  [0, 10_000],
] as const)(
  "lists that a backend calls good for %i ms are offered to the next session for %i ms",
  ([ttlMs, freshMs]) => {
    const { clock, catalogues } = at();
    catalogues.remember(A, "x", { ...capabilitySet({ tools: ["t"] }), ttlMs });

    clock.nowMs = freshMs;
    const inTime = catalogues.fresh(A, "x");
    clock.nowMs = freshMs + 1;

    expect(inTime).toMatchObject({ ttlMs });
    expect(catalogues.fresh(A, "x")).toBeUndefined();
  },
);

test("equal lists that are good for another time or for others are not the same", () => {
  const { catalogues } = at();
  const lists = capabilitySet({ tools: ["t"] });
  const first = catalogues.remember(A, "x", { ...lists, ttlMs: 1, cacheScope: "public" });

  const same = catalogues.intern(A, { ...lists, ttlMs: 1, cacheScope: "public" });
  const longer = catalogues.intern(A, { ...lists, ttlMs: 2, cacheScope: "public" });
  const closer = catalogues.intern(A, { ...lists, ttlMs: 1, cacheScope: "private" });

  expect(same).toBe(first);
  expect(longer).toMatchObject({ ttlMs: 2 });
  expect(closer).toMatchObject({ cacheScope: "private" });
});

test("another kind of client is asked for anew, and meanwhile shown what is known at all", () => {
  const { catalogues } = at();
  const known = catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));

  expect(catalogues.fresh(A, "y")).toBeUndefined();
  expect(catalogues.lastKnown(A, "y")).toBe(known);
  expect(catalogues.lastKnown(B, "x")).toBeUndefined();
});

test("where the backend knows its users, nobody is shown what another was offered", () => {
  const { catalogues } = at();
  catalogues.setPerUser(A, true);
  const known = catalogues.remember(A, "alice", capabilitySet({ tools: ["t"] }));

  expect(catalogues.lastKnown(A, "alice")).toBe(known);
  expect(catalogues.lastKnown(A, "bob")).toBeUndefined();
  expect(catalogues.lastOfAny(A)).toBe(known);
});

test("equal lists are one object, whoever fetched them", () => {
  const { catalogues } = at();
  const first = catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));

  const second = catalogues.remember(A, "y", capabilitySet({ tools: ["t"] }));
  const other = catalogues.remember(A, "z", capabilitySet({ tools: ["u"] }));

  expect(second).toBe(first);
  expect(other).not.toBe(first);
  expect(catalogues.intern(A, capabilitySet({ tools: ["t"] }))).toBe(first);
  expect(catalogues.intern(B, capabilitySet({ tools: ["t"] }))).not.toBe(first);
});

test("a backend whose lists changed is asked by the next session, and once is enough", () => {
  const { catalogues } = at();
  catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));
  catalogues.remember(B, "x", capabilitySet({ tools: ["t"] }));

  catalogues.invalidate(A);
  const afterChange = [catalogues.fresh(A, "x"), catalogues.fresh(B, "x")];
  const changed = catalogues.remember(A, "x", capabilitySet({ tools: ["u"] }));

  expect(afterChange[0]).toBeUndefined();
  expect(afterChange[1]).toBeDefined();
  expect(catalogues.fresh(A, "x")).toBe(changed);
});

test("the kind of client that was heard of longest ago is forgotten first", () => {
  const { catalogues } = at();
  for (let kind = 0; kind < 64; kind += 1) catalogues.remember(A, `k${kind}`, capabilitySet({}));
  catalogues.remember(A, "k0", capabilitySet({}));

  catalogues.remember(A, "new", capabilitySet({}));

  expect(catalogues.fresh(A, "k0")).toBeDefined();
  expect(catalogues.fresh(A, "k1")).toBeUndefined();
  expect(catalogues.fresh(A, "new")).toBeDefined();
});

test("a kind of client is its name, what it declared and who it is, and nothing can be made to look like another", () => {
  const client = { revision: "2025-11-25", capabilities: {}, info: { name: "c" } };
  const alice = { kind: "verified", issuer: "i", subject: "alice" } as const;
  const kinds = [
    clientKindOf(client, ANONYMOUS),
    clientKindOf({ ...client, info: { name: "d" } }, ANONYMOUS),
    clientKindOf({ ...client, info: {} }, ANONYMOUS),
    clientKindOf({ ...client, capabilities: { roots: {} } }, ANONYMOUS),
    clientKindOf(client, alice),
    clientKindOf(client, { ...alice, subject: "bob" }),
    clientKindOf(client, { ...alice, issuer: 'i","alice' }),
    clientKindOf({ ...client, info: { name: 'c",{},["i","alice"]' } }, ANONYMOUS),
  ];

  expect(new Set(kinds).size).toBe(kinds.length);
  expect(clientKindOf({ ...client, revision: "2025-06-18" }, ANONYMOUS)).toBe(kinds[0]);
});

test("of a backend that is gone nothing is known, and another one of its name begins anew", () => {
  const { catalogues } = at();
  catalogues.remember(A, "x", capabilitySet({ tools: ["t"] }));
  const kept = catalogues.remember(B, "x", capabilitySet({ tools: ["t"] }));
  catalogues.invalidate(A);

  catalogues.forget(A);

  expect(catalogues.lastKnown(A, "x")).toBeUndefined();
  expect(catalogues.lastKnown(B, "x")).toBe(kept);
  const next = catalogues.remember(A, "x", capabilitySet({ tools: ["u"] }));
  expect(catalogues.fresh(A, "x")).toBe(next);
});
