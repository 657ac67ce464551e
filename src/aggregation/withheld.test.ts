import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { capabilitySet, prompt, tool } from "../pinning/testing/capabilities.ts";
import { aggregate } from "./aggregate.ts";
import type { BackendCapabilities } from "./candidate.ts";
import { DEFAULT_SETTINGS, type AggregationSettings } from "./settings.ts";

const REASON = "it is not as it was";

function source(name: string, withheld: readonly string[] = []): BackendCapabilities {
  return {
    backend: parseBackendName(name),
    capabilities: capabilitySet(tool("t"), tool("u"), prompt("t")),
    withheld: { tool: new Map(withheld.map((key) => [key, REASON])) },
  };
}

function settings(more: Partial<AggregationSettings>): AggregationSettings {
  return { ...DEFAULT_SETTINGS, ...more };
}

test("what is withheld is neither listed nor routed, and is named with the name that it would have", () => {
  const { table, tools, prompts, withheld, findings } = aggregate(
    [source("a", ["t"])],
    settings({ strategy: "prefix" }),
  );

  expect([...table.tools.keys()]).toEqual(["a_u"]);
  expect(tools).toHaveLength(1);
  expect(prompts.map(({ route }) => route.advertisedName)).toEqual(["a_t"]);
  expect(withheld).toEqual([
    { kind: "tool", backend: "a", originalName: "t", advertisedName: "a_t", reason: REASON },
  ]);
  expect(findings).toMatchObject([
    {
      kind: "quarantined",
      message: 'tool "t" of backend "a" is withheld: it is not as it was',
    },
  ]);
});

test.for(["prefixOnConflict", "priority", "manual"] as const)(
  "with %s, nobody else gets the name of what is withheld",
  (strategy) => {
    const both = (withheld: readonly string[]): ReadonlyMap<string, unknown> =>
      aggregate(
        [source("a", withheld), source("b")],
        settings({ strategy, priorityOrder: ["a", "b"] }),
      ).table.tools;

    const [all, less] = [both([]), both(["t"])];

    for (const [name, route] of less) expect(route).toEqual(all.get(name));
    expect(less.size).toBeLessThanOrEqual(all.size);
  },
);

test("what the configuration hides is not told of as withheld", () => {
  const rules = [{ workload: "a", filter: ["u"], overrides: {}, excludeAll: false }];

  const { withheld } = aggregate([source("a", ["t"])], settings({ tools: rules }));

  expect(withheld).toEqual([]);
});
