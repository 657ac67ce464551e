import { expect, test } from "vitest";
import { resolveManually } from "./manual.ts";
import { candidateOf, describeResolver, namesOf } from "./resolver.contract.ts";

const RULES = { prefixFormat: "{workload}_", priorityOrder: [], maxNameLength: 64 };

describeResolver("manual", resolveManually);

test("a conflict hides its own names and nothing else", () => {
  const { kept, findings } = resolveManually(
    [candidateOf("a", "x"), candidateOf("b", "x"), candidateOf("b", "y")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({ "b/y": "y" });
  expect(findings).toMatchObject([
    { kind: "conflict_hidden", backend: "a", originalName: "x" },
    { kind: "conflict_hidden", backend: "b", originalName: "x" },
  ]);
});

test("an override that gives one of them another name brings both back", () => {
  const { kept, findings } = resolveManually(
    [candidateOf("a", "x", "a_search"), candidateOf("b", "x")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({ "a/x": "a_search", "b/x": "x" });
  expect(findings).toEqual([]);
});

test("an override can make a conflict, which hides both", () => {
  const { kept } = resolveManually([candidateOf("a", "x", "y"), candidateOf("b", "y")], RULES);

  expect(kept).toEqual([]);
});
