import { expect, test } from "vitest";
import { resolveByPrefix } from "./prefix.ts";
import { candidateOf, describeResolver, namesOf } from "./resolver.contract.ts";

const RULES = { prefixFormat: "{workload}_", priorityOrder: [], maxNameLength: 64 };

describeResolver("prefix", resolveByPrefix);

test("every name carries its backend's prefix", () => {
  const { kept, findings } = resolveByPrefix(
    [candidateOf("github", "search"), candidateOf("jira", "search"), candidateOf("jira", "close")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({
    "github/search": "github_search",
    "jira/search": "jira_search",
    "jira/close": "jira_close",
  });
  expect(findings).toEqual([]);
});

test("the backend's name takes every place that the format has for it", () => {
  const { kept } = resolveByPrefix([candidateOf("a", "x")], {
    ...RULES,
    prefixFormat: "{workload}.{workload}-",
  });

  expect(namesOf(kept)).toEqual({ "a/x": "a.a-x" });
});

test("two names that become equal by their prefixes are told apart by a hash", () => {
  const { kept, findings } = resolveByPrefix(
    [candidateOf("a_b", "c"), candidateOf("a", "b_c")],
    RULES,
  );

  expect(namesOf(kept)).toEqual({
    "a/b_c": "a_b_c",
    "a_b/c": expect.stringMatching(/^a_b_c_[0-9a-f]{8}$/),
  });
  expect(findings).toMatchObject([{ kind: "name_changed", backend: "a_b", originalName: "c" }]);
});
