import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "../problems.ts";
import { formatOf, parseSource } from "./parse-source.ts";

function faultsOf(text: string, fileName: string): readonly string[] {
  try {
    parseSource(text, fileName);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message.split("\n");
    throw thrown;
  }
  return [];
}

test.for([
  ["a.json", "", "json"],
  ["a.jsonc", "", "json"],
  ["a.toml", "", "toml"],
  ["a.yml", "{", "yaml"],
  ["a.YAML", "", "yaml"],
  ["config", ' {"a": 1}', "json"],
  ["config", "a: 1", "yaml"],
] as const)("%s holding %j is read as %s", ([name, text, format]) => {
  expect(formatOf(name, text)).toBe(format);
});

test("every place of a YAML text can be found again", () => {
  const tree = parseSource("a: 1\nb:\n  - x: 1\n  - x: 2\n", "f.yaml");

  expect(tree.value).toEqual({ a: 1, b: [{ x: 1 }, { x: 2 }] });
  expect(tree.locate(["b", 1, "x"])).toEqual({ line: 4, column: 5 });
  expect(tree.locate(["b", 1, "absent", "deeper"])).toEqual({ line: 4, column: 5 });
  expect(tree.locate(["absent"])).toEqual({ line: 1, column: 1 });
});

test("every place of a JSON text can be found again, comments and trailing commas allowed", () => {
  const tree = parseSource('{\n  // why\n  "a": [1,\n    {"b": 2,}],\n}', "f.json");

  expect(tree.value).toEqual({ a: [1, { b: 2 }] });
  expect(tree.locate(["a", 1, "b"])).toEqual({ line: 4, column: 6 });
});

test("a TOML table can be found again", () => {
  const tree = parseSource('x = 1\n\n[servers.one]\ncommand = "a"\n', "f.toml");

  expect(tree.value).toEqual({ x: 1, servers: { one: { command: "a" } } });
  expect(tree.locate(["servers", "one", "command"])).toEqual({ line: 3, column: 1 });
});

test("JSON values come out as JSON.parse gives them, whichever parser reads them", () => {
  const keys = fc.string({ minLength: 1 }).filter((key) => key !== "__proto__");
  const values = fc.dictionary(
    keys,
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string())),
  );

  fc.assert(
    fc.property(values, (value) => {
      const text = JSON.stringify(value);
      expect(parseSource(text, "f.json").value).toEqual(JSON.parse(text));
      expect(parseSource(text, "f.yaml").value).toEqual(JSON.parse(text));
    }),
  );
});

test.for([
  ["a:\n\tb: 1\n", "f.yaml:2:1"],
  ["a: 1\nb: 2\na: 3\n", "f.yaml:3:1 a: is there twice"],
  ["a: {b: 1, b: 2}\n", "f.yaml:1:11 a.b: is there twice"],
  ["a: 1\n---\nb: 2\n", "second document"],
  ["a: !!js/function x\n", "a: has a tag"],
  ["a: !!binary aGk=\n", "a: has a tag"],
  ["a: !secret x\n", "a: has a tag"],
  ["? [x, y]\n: 1\n", "is not a plain word"],
  ["a: &x [*x]\n", "aliases are used more than 50 times"],
  ["a: *unknown\n", "an alias that is not defined before"],
  ["__proto__: {a: 1}\n", "is not a key"],
] as const)("%j is refused", ([text, fault]) => {
  expect(faultsOf(text, "f.yaml").join("\n")).toContain(fault);
});

test.for([
  ['{"a": 1, "a": 2}', "a: is there twice"],
  ['{"__proto__": {}}', "is not a key"],
  ['{"a": 1 "b": 2}', "f.json:1:9 is not JSON here: comma expected"],
  ["", "value expected"],
] as const)("%j is refused as JSON", ([text, fault]) => {
  expect(faultsOf(text, "f.json").join("\n")).toContain(fault);
});

test("a fault of TOML is named without its source line", () => {
  const faults = faultsOf('a = 1\nsecret = "hunter2\n', "f.toml");

  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(/^f\.toml:2:\d+ Invalid TOML document/);
  expect(faults[0]).not.toContain("hunter2");
});

test("aliases that multiply are refused", () => {
  const levels = Array.from({ length: 9 }, (_unused, level) => {
    const items = level === 0 ? '"x"' : `*l${String(level - 1)}`;
    return `l${String(level)}: &l${String(level)} [${Array(9).fill(items).join(", ")}]`;
  });

  expect(faultsOf(levels.join("\n"), "f.yaml")).toEqual([
    expect.stringContaining("aliases are used more than 50 times"),
  ]);
});

test("one alias is as good as writing the value again", () => {
  const tree = parseSource("a: &x {k: 1}\nb: *x\n", "f.yaml");

  expect(tree.value).toEqual({ a: { k: 1 }, b: { k: 1 } });
});

test.for(["f.yaml", "f.json"])("more than 5,000 keys are refused in %s", (name) => {
  const lines = Array.from({ length: 60_000 }, (_unused, index) => `"k${String(index)}": 1`);
  const text = name === "f.json" ? `{${lines.join(",")}}` : lines.join("\n");

  expect(faultsOf(text, name)).toEqual([expect.stringContaining("more than 5000 keys")]);
});

test.for([65, 5000, 300_000])("nesting of %d levels is refused before it is parsed", (depth) => {
  const flow = `{"a": ${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const compact = `${"- ".repeat(depth)}x`;
  const lines = Array.from({ length: 1000 }, (_unused, index) => `${" ".repeat(index)}a:`);

  for (const text of [flow, compact, lines.join("\n"), "[".repeat(depth)]) {
    expect(faultsOf(text, "f.yaml")).toEqual([expect.stringContaining("nested deeper than 64")]);
  }
  expect(faultsOf(flow, "f.json")).toEqual([expect.stringContaining("nested deeper than 64")]);
});

test("brackets in texts and comments are no nesting", () => {
  const text = JSON.stringify({ a: "[".repeat(1000) });

  expect(faultsOf(text, "f.yaml")).toEqual([]);
  expect(faultsOf(`// ${"[".repeat(1000)} "\n${text}`, "f.json")).toEqual([]);
});

test("what is said about any broken text never quotes it", () => {
  const secret = "s3cr3t-canary";
  const broken = [
    `a: [${secret}`,
    `a: "${secret}`,
    `${secret}: ${secret}: x`,
    `]${secret}`,
    `- a\n${secret}`,
  ];

  for (const text of broken) expect(faultsOf(text, "f.yaml").join()).not.toContain(secret);
});
