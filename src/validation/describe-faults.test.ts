import { expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { SchemaCompiler } from "./compile-schema.ts";
import { describeFaults } from "./describe-faults.ts";

const compiler = new SchemaCompiler();

function faultOf(schema: JsonObject, args: JsonValue, tool = "t"): string {
  const faults = compiler.compile(schema, "2020-12")(args);
  if (faults === undefined) throw new Error("the arguments fit");
  return describeFaults(tool, faults);
}

/** What stands after the name of the tool. */
function detailOf(schema: JsonObject, args: JsonValue): string {
  return faultOf(schema, args).replace('The arguments of "t" do not fit its schema: ', "");
}

const A = (schema: JsonObject): JsonObject => ({ properties: { a: schema } });

test.for<[JsonObject, JsonValue, string]>([
  [A({ type: "string" }), { a: 5 }, "/a must be a string, not the number 5"],
  [
    A({ type: ["string", "null"] }),
    { a: [1, 2] },
    "/a must be a string or null, not an array of length 2",
  ],
  [A({ type: "integer" }), { a: 1.5 }, "/a must be an integer, not the number 1.5"],
  [A({ type: "array" }), { a: { b: 1 } }, "/a must be an array, not an object"],
  [A({ type: "object" }), { a: null }, "/a must be an object, not null"],
  [A({ type: "number" }), { a: "secret" }, "/a must be a number, not a string of length 6"],
  [A({ type: "boolean" }), { a: "true" }, "/a must be a boolean, not a string of length 4"],
  [
    A({ enum: ["x", 2, null] }),
    { a: "y" },
    '/a must be one of "x", 2, null, not a string of length 1',
  ],
  [
    A({ enum: [{ b: 1 }, [2]] }),
    { a: true },
    "/a must be one of an object of the schema, an array of the schema, not true",
  ],
  [
    A({ enum: Array.from({ length: 1_000 }, (_, index) => index) }),
    { a: -1 },
    "/a must be one of 0, 1, 2, 3, 4, 5, 6, 7 and 992 more, not the number -1",
  ],
  [A({ const: "x" }), { a: "y" }, '/a must be "x", not a string of length 1'],
  [A({ minimum: 3 }), { a: 1 }, "/a must be >= 3, not the number 1"],
  [
    A({ maxLength: 2 }),
    { a: "abc" },
    "/a must not have more than 2 characters, not a string of length 3",
  ],
  [A({ pattern: "^a$" }), { a: "b" }, "/a must match the pattern ^a$, not a string of length 1"],
  [A({ items: { type: "string" } }), { a: ["x", 1] }, "/a/1 must be a string, not the number 1"],
  [{ type: "string" }, {}, "the arguments must be a string, not an object"],
  [
    { properties: { a: { type: "integer" } }, required: ["a"] },
    {},
    "/a is missing, it must be an integer",
  ],
  [{ required: ["a/b~c"] }, {}, "/a~1b~0c is missing"],
  [A({ required: ["b"] }), { a: {} }, "/a/b is missing"],
  [
    { properties: { a: {}, b: {} }, additionalProperties: false },
    { c: 1 },
    '/c is not a known argument; known here: "a", "b"',
  ],
  [{ additionalProperties: false }, { c: 1 }, "/c is not a known argument"],
  [{ unevaluatedProperties: false }, { c: 1 }, "/c is not a known argument"],
  [
    A({ anyOf: [{ type: "string" }, { properties: { b: { type: "null" } }, type: "object" }] }),
    { a: { b: 1 } },
    "/a must fit one of 2 alternatives, not an object; /a/b must be null, not the number 1; /a must be a string, not an object",
  ],
  [A({ oneOf: [{}, {}] }), { a: 1 }, "/a must fit exactly one of 2 alternatives, not the number 1"],
  [A({ not: {} }), { a: 1 }, "/a must not be valid, not the number 1"],
  [A(false as unknown as JsonObject), { a: 1 }, "/a is not allowed"],
])("%j with %j: %s", ([schema, args, expected]) => {
  expect(detailOf(schema, args)).toBe(expected);
});

test("the tool is named as the client knows it", () => {
  expect(faultOf({ required: ["a"] }, {}, "shelf_find")).toBe(
    'The arguments of "shelf_find" do not fit its schema: /a is missing',
  );
});

test("texts of the arguments are told by their length alone", () => {
  const fault = faultOf(A({ type: "integer" }), { a: "CANARY".repeat(1_000) });

  expect(fault).not.toContain("CANARY");
});

test.for<[string, JsonObject, JsonValue, string]>([
  ["a long name", { required: ["x".repeat(10_000)] }, {}, "t"],
  ["a long key", { additionalProperties: false }, { ["k".repeat(10_000)]: 1 }, "t"],
  ["long choices", A({ enum: Array.from({ length: 9 }, () => "e".repeat(5_000)) }), { a: 1 }, "t"],
  ["a long pattern", A({ pattern: "p".repeat(5_000) }), { a: "" }, "t"],
  [
    "many alternatives",
    { anyOf: Array.from({ length: 500 }, () => ({ type: "string" })) },
    {},
    "t",
  ],
  ["a long tool", { required: ["a"] }, {}, "n".repeat(5_000)],
])("with %s the sentence has at most 300 characters", ([, schema, args, tool]) => {
  const fault = faultOf(schema, args, tool);

  expect(fault.length).toBeLessThanOrEqual(300);
  expect(fault).toMatch(/do not fit its schema: \S/);
});
