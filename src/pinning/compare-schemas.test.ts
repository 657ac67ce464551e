import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../domain/json.ts";
import { isSameValue } from "./canonical.ts";
import { compareSchemas } from "./compare-schemas.ts";

function effectsOf(before: JsonValue, after: JsonValue): readonly (readonly string[])[] {
  return compareSchemas(before, after, "in").map(({ path, effect }) => [path, effect]);
}

const P = (schema: JsonValue, required: readonly string[] = []): JsonValue => ({
  properties: { p: schema },
  ...(required.length > 0 && { required }),
});

describe("takes more than before:", () => {
  test.for<readonly [string, JsonValue, JsonValue, string]>([
    ["a property that was added", {}, P({}), "in.p"],
    ["a property that became optional", P({}, ["p"]), P({}), "in.p"],
    ["another type besides", P({ type: "string" }), P({ type: ["null", "string"] }), "in.p"],
    ["every number in place of integers", P({ type: "integer" }), P({ type: "number" }), "in.p"],
    ["any type", P({ type: "string" }), P({}), "in.p"],
    ["another listed value", P({ enum: ["a"] }), P({ enum: ["a", "b"] }), "in.p"],
    ["any value", P({ enum: ["a"] }), P({}), "in.p"],
    [
      "other properties, which were closed",
      { additionalProperties: false },
      {},
      "in.additionalProperties",
    ],
    [
      "any other properties, which had a schema",
      { additionalProperties: { type: "string" } },
      { additionalProperties: true },
      "in.additionalProperties",
    ],
    ["longer texts", { maxLength: 5 }, { maxLength: 6 }, "in.maxLength"],
    ["texts without end", { maxLength: 5 }, {}, "in.maxLength"],
    ["smaller numbers", { minimum: 5 }, { minimum: 4 }, "in.minimum"],
    ["what no pattern holds back", { pattern: "^a$" }, {}, "in.pattern"],
    ["another alternative", { anyOf: [{}] }, { anyOf: [{}, { type: "null" }] }, "in.anyOf"],
    ["anything in the items", { items: false }, { items: true }, "in[]"],
  ])("%s", ([, before, after, path]) => {
    expect(effectsOf(before, after)).toEqual([[path, "widened"]]);
  });
});

describe("takes less than before:", () => {
  test.for<readonly [string, JsonValue, JsonValue, string]>([
    ["a property that was removed", P({}), {}, "in.p"],
    ["a property that became required", P({}), P({}, ["p"]), "in.p"],
    ["a name that is required and has no schema", {}, { required: ["x"] }, "in.x"],
    ["fewer types", P({ type: ["null", "string"] }), P({ type: "string" }), "in.p"],
    ["integers only", P({ type: "number" }), P({ type: "integer" }), "in.p"],
    ["fewer listed values", P({ enum: ["a", "b"] }), P({ enum: ["a"] }), "in.p"],
    ["listed values only", P({}), P({ enum: ["a"] }), "in.p"],
    ["no other properties", {}, { additionalProperties: false }, "in.additionalProperties"],
    ["shorter texts", { maxLength: 5 }, { maxLength: 4 }, "in.maxLength"],
    ["greater numbers", { minimum: 5 }, { minimum: 6 }, "in.minimum"],
    ["what a pattern lets through", {}, { pattern: "^a$" }, "in.pattern"],
    ["one alternative less", { oneOf: [{}, true] }, { oneOf: [{}] }, "in.oneOf"],
  ])("%s", ([, before, after, path]) => {
    expect(effectsOf(before, after)).toEqual([[path, "narrowed"]]);
  });
});

describe("takes something else:", () => {
  test.for<readonly [string, JsonValue, JsonValue, string]>([
    ["another type", P({ type: "string" }), P({ type: "object" }), "in.p"],
    ["another pattern", { pattern: "a" }, { pattern: "b" }, "in.pattern"],
    ["another default", { default: 1 }, { default: 2 }, "in.default"],
    ["a reference to something else", { $ref: "#/a" }, { $ref: "#/b" }, "in.$ref"],
    ["a default that is null, where there was none", {}, { default: null }, "in.default"],
    ["an empty list of what is required", {}, { required: [] }, "in.required"],
    ["a value that is listed twice", { enum: [1] }, { enum: [1, 1] }, "in.enum"],
    ["a keyword that nobody knows", { "x-ui": 1 }, {}, "in.x-ui"],
    ["alternatives in another order", { anyOf: [{}, true] }, { anyOf: [true, {}] }, "in.anyOf"],
  ])("%s", ([, before, after, path]) => {
    expect(effectsOf(before, after)).toEqual([[path, "changed"]]);
  });
});

test("a change deep inside is named by its way there", () => {
  const nested = (type: string): JsonValue =>
    P({ type: "object", properties: { list: { items: { properties: { id: { type } } } } } });

  expect(effectsOf(nested("integer"), nested("number"))).toEqual([["in.p.list[].id", "widened"]]);
});

test("the one alternative that changed is compared with what it was", () => {
  const optional = (description: string): JsonValue =>
    P({ anyOf: [{ type: "null" }, { type: "string", description }] });

  const changes = compareSchemas(optional("The path"), optional("The path, and your keys"), "in");

  expect(changes).toEqual([
    {
      path: "in.p.anyOf.description",
      effect: "text",
      says: "changed: The [-path-] {+path, and your keys+}",
    },
  ]);
});

test("words of a schema are compared as words, wherever they stand", () => {
  const before = P({ description: "A file to read" });
  const after = P({ description: "A file to read and send" });

  const [change] = compareSchemas(before, after, "in");

  expect(change).toMatchObject({ path: "in.p.description", effect: "text" });
  expect(change?.says).toBe("changed: A file to read {+and send+}");
});

test("names of properties that would command a terminal are shown as escapes", () => {
  const [change] = compareSchemas({}, { properties: { "\u001b[2J\u202e": {} } }, "in");

  expect(change?.path).toBe("in.\\u001b[2J\\u202e");
});

test("a property that is named like something of every object is one like any other", () => {
  const before = { properties: {} };
  // In an object literal this would be the prototype.
  const after = JSON.parse('{"properties":{"__proto__":{},"constructor":{}}}');

  expect(effectsOf(before, after)).toEqual([
    ["in.__proto__", "widened"],
    ["in.constructor", "widened"],
  ]);
});

const KEYWORDS = ["type", "enum", "required", "properties", "items", "anyOf", "maximum", "title"];

test("of two schemas that are not equal at least one difference is said, and of equal ones none", () => {
  const { schema } = fc.letrec<{ schema: JsonValue }>((tie) => ({
    // What it makes is JSON, of which the library's types do not tell.
    schema: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<JsonValue>(true, {}, { type: "string" }),
      fc.dictionary(
        fc.constantFrom(...KEYWORDS),
        fc.oneof(tie("schema"), fc.jsonValue({ maxDepth: 2 })),
      ),
    ) as fc.Arbitrary<JsonValue>,
  }));

  fc.assert(
    fc.property(schema, schema, (before, after) => {
      expect(compareSchemas(before, after, "in").length > 0).toBe(!isSameValue(before, after));
    }),
  );
});
