import { expect, test } from "vitest";
import { resolveByPriority } from "./priority.ts";
import { candidateOf, describeResolver, namesOf } from "./resolver.contract.ts";

const RULES = { prefixFormat: "{workload}_", priorityOrder: ["b", "a"], maxNameLength: 64 };

describeResolver("priority", resolveByPriority);

test("the best ranked backend has the name and the losers are reported", () => {
  const { kept, findings } = resolveByPriority(
    [candidateOf("a", "x"), candidateOf("b", "x"), candidateOf("c", "x"), candidateOf("a", "y")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({ "b/x": "x", "a/y": "y" });
  expect(findings).toMatchObject([
    { kind: "conflict_dropped", backend: "a", originalName: "x" },
    { kind: "conflict_dropped", backend: "c", originalName: "x" },
  ]);
  expect(findings[0]?.message).toContain('backend "b"');
});

test("a conflict among backends that are not ranked is settled by prefixes", () => {
  const { kept } = resolveByPriority([candidateOf("c", "x"), candidateOf("d", "x")], RULES);

  expect(namesOf(kept)).toEqual({ "c/x": "c_x", "d/x": "d_x" });
});

test("a name that one backend alone has stays, ranked or not", () => {
  const { kept, findings } = resolveByPriority([candidateOf("z", "only")], RULES);

  expect(namesOf(kept)).toEqual({ "z/only": "only" });
  expect(findings).toEqual([]);
});

test.for([
  ["alpha", "beta", "gamma"],
  ["gamma", "beta", "alpha"],
  ["beta", "gamma", "alpha"],
])("ranked by the alphabet, the first has the name if %s answers first [seed 77]", (backends) => {
  const candidates = backends.map((backend) => candidateOf(backend, "shared"));

  const { kept } = resolveByPriority(candidates, {
    ...RULES,
    priorityOrder: ["alpha", "beta", "gamma"],
  });

  expect(namesOf(kept)).toEqual({ "alpha/shared": "shared" });
});
