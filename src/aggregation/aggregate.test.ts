import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Capability, CapabilityKind } from "../domain/capabilities.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Advertised } from "../domain/routing-table.ts";
import { aggregate, type BackendCapabilities } from "./aggregate.ts";
import {
  type AggregationSettings,
  type BackendRules,
  type CapabilityOverride,
  type ConflictStrategy,
  DEFAULT_SETTINGS,
} from "./settings.ts";

type Offer = {
  readonly [List in "tools" | "prompts" | "resources" | "resourceTemplates"]?: readonly string[];
};

function capability(kind: CapabilityKind, key: string): Capability {
  const field = { tool: "name", prompt: "name", resource: "uri", resourceTemplate: "uriTemplate" };
  const value: JsonObject = { [field[kind]]: key };
  return { kind, key, json: JSON.stringify(value), value };
}

function backend(name: string, offer: Offer): BackendCapabilities {
  return {
    backend: parseBackendName(name),
    capabilities: {
      hash: JSON.stringify(offer),
      tools: list("tool", offer.tools),
      prompts: list("prompt", offer.prompts),
      resources: list("resource", offer.resources),
      resourceTemplates: list("resourceTemplate", offer.resourceTemplates),
    },
  };
}

function list(kind: CapabilityKind, keys: readonly string[] = []): readonly Capability[] {
  return keys.map((key) => capability(kind, key));
}

function settings(changes: Partial<AggregationSettings> = {}): AggregationSettings {
  return { ...DEFAULT_SETTINGS, ...changes };
}

function rules(
  workload: string,
  changes: {
    readonly filter?: readonly string[];
    readonly overrides?: Readonly<Record<string, CapabilityOverride>>;
    readonly excludeAll?: boolean;
  } = {},
): BackendRules {
  return { workload, overrides: {}, excludeAll: false, ...changes };
}

function routes(advertised: readonly Advertised[]): unknown {
  return advertised.map(({ route }) => route);
}

function names(advertised: readonly Advertised[]): readonly string[] {
  return advertised.map(({ route }) => route.advertisedName);
}

test("no backends give an empty table [seed 82]", () => {
  const { table, tools, findings } = aggregate([], DEFAULT_SETTINGS);

  expect([table.tools.size, table.prompts.size, table.resources.size]).toEqual([0, 0, 0]);
  expect(table.resourceTemplates).toEqual([]);
  expect(tools).toEqual([]);
  expect(findings).toEqual([]);
});

test("all kinds of capabilities are routed to their backend under its own names [seed 82]", () => {
  const offer = {
    tools: ["t"],
    prompts: ["p"],
    resources: ["r://1"],
    resourceTemplates: ["r://{x}"],
  };

  const { table } = aggregate([backend("one", offer)], DEFAULT_SETTINGS);

  const route = { backend: "one" };
  expect(table.tools.get("one_t")).toEqual({
    ...route,
    kind: "tool",
    originalName: "t",
    advertisedName: "one_t",
  });
  expect(table.prompts.get("one_p")).toEqual({
    ...route,
    kind: "prompt",
    originalName: "p",
    advertisedName: "one_p",
  });
  expect(table.resources.get("r://1")).toEqual({
    ...route,
    kind: "resource",
    originalName: "r://1",
    advertisedName: "r://1",
  });
  expect(table.resourceTemplates).toEqual([
    { ...route, kind: "resourceTemplate", originalName: "r://{x}", advertisedName: "r://{x}" },
  ]);
});

test("the capabilities of several backends merge into one table [seed 82]", () => {
  const sources = [backend("b", { tools: ["x"] }), backend("a", { tools: ["z", "y"] })];

  const { table, tools } = aggregate(sources, settings({ strategy: "prefixOnConflict" }));

  expect(names(tools)).toEqual(["z", "y", "x"]);
  expect([...table.tools.values()].map((route) => route.backend)).toEqual(["a", "a", "b"]);
});

test("a conflict leaves one route for the name and a finding for the other [seed 82]", () => {
  const sources = [backend("b", { tools: ["x"] }), backend("a", { tools: ["x"] })];

  const { table, findings } = aggregate(
    sources,
    settings({ strategy: "priority", priorityOrder: ["a", "b"] }),
  );

  expect(table.tools.get("x")?.backend).toBe("a");
  expect(findings).toMatchObject([{ kind: "conflict_dropped", backend: "b", originalName: "x" }]);
});

test.for([
  [["alpha", "beta", "gamma"]],
  [["gamma", "alpha", "beta"]],
  [["beta", "gamma", "alpha"]],
])(
  "of backends that answer in the order %s the alphabetically first has a shared URI [seed 77]",
  ([order]) => {
    const offer = { resources: ["r://1"], resourceTemplates: ["r://{x}"] };

    const { table, findings } = aggregate(
      (order ?? []).map((name) => backend(name, offer)),
      DEFAULT_SETTINGS,
    );

    expect(table.resources.get("r://1")?.backend).toBe("alpha");
    expect(table.resourceTemplates.map((route) => route.backend)).toEqual(["alpha"]);
    expect(findings.map((finding) => [finding.kind, finding.backend])).toEqual([
      ["conflict_dropped", "beta"],
      ["conflict_dropped", "beta"],
      ["conflict_dropped", "gamma"],
      ["conflict_dropped", "gamma"],
    ]);
  },
);

test("two backends without conflicts keep their names when only conflicts are prefixed", () => {
  const sources = [
    backend("a", { tools: ["read"], prompts: ["p"] }),
    backend("b", { tools: ["write"] }),
  ];

  const { tools, prompts } = aggregate(sources, settings({ strategy: "prefixOnConflict" }));

  expect([...names(tools), ...names(prompts)]).toEqual(["read", "write", "p"]);
});

test("long and odd names become usable, unique and the same when a backend is added", () => {
  const odd = ["n".repeat(100), `${"n".repeat(100)}2`, "mit Leerzeichen", "größe", "名前", "ok"];
  const sources = [backend("first", { tools: odd }), backend("second".repeat(8), { tools: odd })];

  const before = names(aggregate(sources, DEFAULT_SETTINGS).tools);
  const after = names(
    aggregate([backend("another", { tools: odd }), ...sources], DEFAULT_SETTINGS).tools,
  );

  expect(new Set(before).size).toBe(12);
  for (const name of before) expect(name).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
  expect(after.slice(6)).toEqual(before);
});

test("a name that a backend lists twice counts once and is reported", () => {
  const { tools, findings } = aggregate(
    [backend("a", { tools: ["x", "y", "x"] })],
    DEFAULT_SETTINGS,
  );

  expect(names(tools)).toEqual(["a_x", "a_y"]);
  expect(findings).toMatchObject([{ kind: "duplicate_dropped", originalName: "x" }]);
});

test("names of built-in properties are names like any other", () => {
  const builtIns = ["__proto__", "constructor", "toString"];
  const sources = [backend("a", { tools: builtIns })];
  const given = settings({ strategy: "manual", tools: [rules("a", { filter: builtIns })] });

  const { table, findings } = aggregate(sources, given);

  expect([...table.tools.keys()]).toEqual(builtIns);
  expect(findings).toEqual([]);
});

describe("overrides", () => {
  test("a new name is prefixed like an own one, and the route keeps the original", () => {
    const given = settings({ tools: [rules("a", { overrides: { x: { name: "better" } } })] });

    const { table, tools } = aggregate([backend("a", { tools: ["x"] })], given);

    expect(table.tools.get("a_better")?.originalName).toBe("x");
    expect(tools[0]?.json).toBe('{"name":"a_better"}');
  });

  test("they hold for the backend they name and for no other", () => {
    const given = settings({ tools: [rules("a", { overrides: { x: { description: "D" } } })] });

    const { tools } = aggregate(
      [backend("a", { tools: ["x"] }), backend("b", { tools: ["x"] })],
      given,
    );

    expect(tools.map(({ json }) => json)).toEqual([
      '{"name":"a_x","description":"D"}',
      '{"name":"b_x"}',
    ]);
  });

  test("prompts and resources have their own", () => {
    const given = settings({
      prompts: [rules("a", { overrides: { x: { name: "p" } } })],
      resources: [rules("a", { overrides: { "r://1": { description: "D" } } })],
    });
    const offer = { tools: ["x"], prompts: ["x"], resources: ["r://1"] };

    const { tools, prompts, resources } = aggregate([backend("a", offer)], given);

    expect([...names(tools), ...names(prompts)]).toEqual(["a_x", "a_p"]);
    expect(resources[0]?.json).toBe('{"uri":"r://1","description":"D"}');
  });

  test("one that fits nothing is reported, unless the backend is not known yet", () => {
    const lost = { overrides: { gone: { name: "y" } } };
    const given = settings({ tools: [rules("a", lost), rules("absent", lost)] });

    const { findings } = aggregate([backend("a", { tools: ["x"] })], given);

    expect(findings).toMatchObject([
      { kind: "override_unused", backend: "a", originalName: "gone" },
    ]);
  });
});

describe("filters", () => {
  const sources = [
    backend("a", { tools: ["read", "write", "rename"] }),
    backend("b", { tools: ["x"] }),
  ];

  test.for<[string, Partial<AggregationSettings>, readonly string[]]>([
    ["nothing set shows all", {}, ["a_read", "a_write", "a_rename", "b_x"]],
    ["excludeAllTools hides all", { excludeAllTools: true }, []],
    [
      "excludeAllTools beats a filter",
      { excludeAllTools: true, tools: [rules("a", { filter: ["read"] })] },
      [],
    ],
    ["excludeAll hides one backend", { tools: [rules("a", { excludeAll: true })] }, ["b_x"]],
    [
      "excludeAll beats its filter",
      { tools: [rules("a", { excludeAll: true, filter: ["read"] })] },
      ["b_x"],
    ],
    [
      "a filter shows what it names",
      { tools: [rules("a", { filter: ["read"] })] },
      ["a_read", "b_x"],
    ],
    [
      "a filter takes patterns",
      { tools: [rules("a", { filter: ["re*"] })] },
      ["a_read", "a_rename", "b_x"],
    ],
    ["an empty filter shows nothing", { tools: [rules("a", { filter: [] })] }, ["b_x"]],
    ["deny hides backends without an entry", { defaultToolVisibility: "deny" }, []],
    [
      "deny shows a backend with an entry",
      { defaultToolVisibility: "deny", tools: [rules("b")] },
      ["b_x"],
    ],
    [
      "deny lets the entry's filter decide",
      { defaultToolVisibility: "deny", tools: [rules("a", { filter: ["w?ite"] })] },
      ["a_write"],
    ],
    [
      "the first of two entries counts",
      { tools: [rules("b", { excludeAll: true }), rules("b")] },
      ["a_read", "a_write", "a_rename"],
    ],
  ])("%s", ([, changes, expected]) => {
    const { tools, table } = aggregate(sources, settings(changes));

    expect(names(tools)).toEqual(expected);
    expect([...table.tools.keys()]).toEqual(expected);
  });

  test("they go by the name after override and before the prefix", () => {
    const overrides = { read: { name: "load" } };
    const given = settings({
      tools: [rules("a", { overrides, filter: ["load", "a_write", "read"] })],
    });

    const { tools, findings } = aggregate(sources, given);

    expect(names(tools)).toEqual(["a_load", "b_x"]);
    expect(findings.filter(({ kind }) => kind === "filter_unused")).toMatchObject([
      { originalName: "a_write" },
      { originalName: "read" },
    ]);
  });

  test("patterns that fit nothing are reported, those that fit something are not", () => {
    const filter = ["re*", "write", "no*", "gone"];

    const { findings } = aggregate(sources, settings({ tools: [rules("a", { filter })] }));

    expect(findings.map(({ kind, originalName }) => [kind, originalName])).toEqual([
      ["filter_unused", "gone"],
      ["filter_unused", "no*"],
    ]);
  });

  test("what they hide is reported", () => {
    const { findings } = aggregate(sources, settings({ tools: [rules("b", { filter: [] })] }));

    expect(findings).toMatchObject([{ kind: "filtered", backend: "b", originalName: "x" }]);
  });

  test("tool settings leave prompts and resources alone", () => {
    const offer = {
      tools: ["x"],
      prompts: ["x"],
      resources: ["r://1"],
      resourceTemplates: ["r://{x}"],
    };
    const given = settings({ excludeAllTools: true, defaultToolVisibility: "deny" });

    const result = aggregate([backend("a", offer)], given);

    expect(names(result.tools)).toEqual([]);
    expect(names(result.prompts)).toEqual(["a_x"]);
    expect(names(result.resources)).toEqual(["r://1"]);
    expect(names(result.resourceTemplates)).toEqual(["r://{x}"]);
  });

  test("resources and templates are shown by URI patterns and hidden from the table otherwise", () => {
    const offer = {
      resources: ["docs://a", "secret://a"],
      resourceTemplates: ["docs://{x}", "secret://{x}"],
    };
    const given = settings({ resources: [rules("a", { filter: ["docs://*"] })] });

    const { table } = aggregate([backend("a", offer)], given);

    expect([...table.resources.keys()]).toEqual(["docs://a"]);
    expect(table.resourceTemplates.map((route) => route.originalName)).toEqual(["docs://{x}"]);
  });

  test("prompts have their own rules", () => {
    const given = settings({ prompts: [rules("a", { filter: ["p"] })] });

    const { prompts } = aggregate([backend("a", { prompts: ["p", "q"] })], given);

    expect(names(prompts)).toEqual(["a_p"]);
  });
});

describe("for any backends, under every strategy,", () => {
  const key = fc.constantFrom(
    "x",
    "y",
    "a_x",
    "b_x",
    "a b",
    "",
    "n".repeat(80),
    "r://1",
    "r://{x}",
  );
  const offer = fc.record({
    tools: fc.array(key, { maxLength: 5 }),
    prompts: fc.array(key, { maxLength: 5 }),
    resources: fc.array(key, { maxLength: 5 }),
    resourceTemplates: fc.array(key, { maxLength: 5 }),
  });
  const sources = fc
    .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "a_b", "c"), offer), {
      selector: ([name]) => name,
    })
    .map((specs) => specs.map(([name, offered]) => backend(name, offered)));
  const anySettings = fc.record({
    strategy: fc.constantFrom<ConflictStrategy>("prefix", "prefixOnConflict", "priority", "manual"),
    priorityOrder: fc.shuffledSubarray(["a", "b", "c"]),
    tools: fc.subarray([
      rules("a", { filter: ["x", "?_*"], overrides: { x: { name: "y" } } }),
      rules("b", { excludeAll: true }),
    ]),
    resources: fc.subarray([rules("c", { filter: ["r://*"] })]),
  });

  test("the answer does not depend on the order of the backends", () => {
    fc.assert(
      fc.property(sources, anySettings, (given, changes) => {
        const result = aggregate(given, settings(changes));

        expect(aggregate(given.toReversed(), settings(changes))).toEqual(result);
      }),
    );
  });

  test("everything a backend lists is advertised or has a finding", () => {
    fc.assert(
      fc.property(sources, anySettings, (given, changes) => {
        const result = aggregate(given, settings(changes));

        const listed = given.flatMap((source) =>
          [
            ...source.capabilities.tools,
            ...source.capabilities.prompts,
            ...source.capabilities.resources,
            ...source.capabilities.resourceTemplates,
          ].map((one) => `${one.kind} ${source.backend} ${one.key}`),
        );
        const advertised = [
          ...result.tools,
          ...result.prompts,
          ...result.resources,
          ...result.resourceTemplates,
        ].map(({ route }) => `${route.kind} ${route.backend} ${route.originalName}`);
        const lost = result.findings
          .filter(
            ({ kind, advertisedName }) => advertisedName === undefined && !kind.endsWith("_unused"),
          )
          .map((finding) => `${finding.capability} ${finding.backend} ${finding.originalName}`);
        expect([...advertised, ...lost].toSorted()).toEqual(listed.toSorted());
      }),
    );
  });

  test("lists and table say the same", () => {
    fc.assert(
      fc.property(sources, anySettings, (given, changes) => {
        const { table, ...lists } = aggregate(given, settings(changes));

        expect(routes(lists.tools)).toEqual([...table.tools.values()]);
        expect(routes(lists.prompts)).toEqual([...table.prompts.values()]);
        expect(routes(lists.resources)).toEqual([...table.resources.values()]);
        expect(routes(lists.resourceTemplates)).toEqual(table.resourceTemplates);
        for (const { route, json } of lists.tools) {
          expect(JSON.parse(json)).toMatchObject({ name: route.advertisedName });
        }
      }),
    );
  });
});
