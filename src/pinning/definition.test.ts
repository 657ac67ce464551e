import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digestOf } from "./canonical.ts";
import { definitionOf } from "./definition.ts";
import { capability, tool } from "./testing/capabilities.ts";

function digest(json: string): string {
  return digestOf(definitionOf(capability("tool", json)));
}

describe("means the same, and has the same digest:", () => {
  test.for([
    ["keys in another order", '{"name":"t","title":"T"}', '{"title":"T","name":"t"}'],
    ["other white space", '{"name":"t"}', '{ "name" : "t" }'],
    ["another way to write a text", '{"name":"t"}', '{"n\\u0061me":"\\u0074"}'],
    [
      "required properties in another order",
      '{"name":"t","inputSchema":{"required":["a","b"]}}',
      '{"name":"t","inputSchema":{"required":["b","a"]}}',
    ],
    [
      "types and values in another order, deep inside",
      '{"name":"t","inputSchema":{"properties":{"p":{"items":{"type":["null","string"],"enum":["x",null]}}}}}',
      '{"name":"t","inputSchema":{"properties":{"p":{"items":{"type":["string","null"],"enum":[null,"x"]}}}}}',
    ],
  ] as const)("%s", ([, left, right]) => {
    expect(digest(left)).toBe(digest(right));
  });
});

describe("means something else, and has another digest:", () => {
  test.for([
    ["another description", '{"name":"t","description":"a"}', '{"name":"t","description":"b"}'],
    [
      "a property of the name of a keyword",
      '{"name":"t","inputSchema":{"properties":{"enum":{"default":["a","b"]}}}}',
      '{"name":"t","inputSchema":{"properties":{"enum":{"default":["b","a"]}}}}',
    ],
    [
      "a default value that is a list in another order",
      '{"name":"t","inputSchema":{"default":{"required":["a","b"]}}}',
      '{"name":"t","inputSchema":{"default":{"required":["b","a"]}}}',
    ],
    ["a vendor's own member", '{"name":"t","_meta":{"ui":"a"}}', '{"name":"t","_meta":{"ui":"b"}}'],
    [
      "a key that stands twice, of which some readers take the first",
      '{"name":"t","description":"good"}',
      '{"name":"t","description":"evil","description":"good"}',
    ],
    [
      "a key that stands twice inside of a schema",
      '{"name":"t","inputSchema":{"type":"object"}}',
      '{"name":"t","inputSchema":{"type":"string","type":"object"}}',
    ],
  ] as const)("%s", ([, left, right]) => {
    expect(digest(left)).not.toBe(digest(right));
  });
});

test("a text that looks like a key is none", () => {
  const entry = tool("t", { description: '"a": "b", "a": 1, {"a":', title: "\\" });

  expect(definitionOf(entry)).toEqual(entry.value);
});

test("a text of millions of characters is read like any other", () => {
  const entry = tool("t", { description: '"\\'.repeat(4_000_000), title: "x".repeat(8_000_000) });

  expect(definitionOf(entry)).toBeTypeOf("object");
});

test("what is nested too deeply to be walked is taken as it was written", () => {
  const json = `{"name":"t","_meta":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`;

  expect(definitionOf(capability("tool", json))).toBe(json);
});

test("a definition means what the backend said, whatever it said", () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));

  fc.assert(
    fc.property(object, (more) => {
      const value = JSON.parse(JSON.stringify({ ...more, name: "t" }));
      const json = JSON.stringify(value);
      const definition = definitionOf({ json, value });

      expect(definition).toEqual({ ...value, ...schemasOf(definition) });
    }),
  );
});

/** In these, order may be another one. */
function schemasOf(definition: unknown): object {
  const { inputSchema, outputSchema } = Object(definition);
  return {
    ...(inputSchema !== undefined && { inputSchema }),
    ...(outputSchema !== undefined && { outputSchema }),
  };
}
