import { expect, test } from "vitest";
import { resolveByPrefixOnConflict } from "./prefix-on-conflict.ts";
import { candidateOf, describeResolver, namesOf } from "./resolver.contract.ts";

const RULES = { prefixFormat: "{workload}_", priorityOrder: [], maxNameLength: 64 };

describeResolver("prefixOnConflict", resolveByPrefixOnConflict);

test("names that nobody else has stay", () => {
  const { kept, findings } = resolveByPrefixOnConflict(
    [candidateOf("a", "read"), candidateOf("b", "write")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({ "a/read": "read", "b/write": "write" });
  expect(findings).toEqual([]);
});

test("all bearers of a shared name get their prefix, and it is said why", () => {
  const { kept, findings } = resolveByPrefixOnConflict(
    [candidateOf("a", "search"), candidateOf("b", "search"), candidateOf("b", "close")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({
    "a/search": "a_search",
    "b/search": "b_search",
    "b/close": "close",
  });
  expect(findings).toMatchObject([
    { kind: "conflict_prefixed", backend: "a", advertisedName: "a_search" },
    { kind: "conflict_prefixed", backend: "b", advertisedName: "b_search" },
  ]);
});

test("a prefixed name gives way to a name that another backend has of its own", () => {
  const { kept } = resolveByPrefixOnConflict(
    [candidateOf("a", "x"), candidateOf("b", "x"), candidateOf("c", "a_x")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({
    "a/x": expect.stringMatching(/^a_x_[0-9a-f]{8}$/),
    "b/x": "b_x",
    "c/a_x": "a_x",
  });
});

test("an override that ends a conflict ends the prefixes too", () => {
  const { kept } = resolveByPrefixOnConflict(
    [candidateOf("a", "x", "y"), candidateOf("b", "x")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({ "a/x": "y", "b/x": "x" });
});
