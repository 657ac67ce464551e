import { expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { surveySchema } from "./survey-schema.ts";

const LIMITS = { subSchemas: 2_000, depth: 32 };

function fault(schema: JsonObject, limits = LIMITS): string | undefined {
  return surveySchema(schema, limits).fault;
}

function nested(levels: number): JsonObject {
  let schema: JsonObject = {};
  for (let level = 1; level < levels; level += 1) schema = { properties: { a: schema } };
  return schema;
}

function branches(count: number): JsonObject {
  return { anyOf: Array.from({ length: count }, () => ({ type: "string" })) };
}

test("as many sub-schemas as the limit are taken, and not one more", () => {
  expect(surveySchema(branches(1_999), LIMITS)).toMatchObject({
    subSchemas: 2_000,
    fault: undefined,
  });
  expect(fault(branches(2_000))).toBe("it has more than 2000 sub-schemas");
});

test("sub-schemas nested as deep as the limit are taken, and not one level more", () => {
  expect(fault(nested(32))).toBeUndefined();
  expect(fault(nested(33))).toBe("its sub-schemas are nested deeper than 32 levels");
});

test("a schema that is far past the limits is not walked to its end", () => {
  expect(surveySchema(branches(100_000), { subSchemas: 10, depth: 32 }).subSchemas).toBe(11);
  expect(fault(nested(100_000))).toMatch(/deeper/);
});

test.for<[keyword: string, value: JsonValue, count: number]>([
  ["properties", { a: {}, b: true, c: { items: {} } }, 5],
  ["patternProperties", { a: {} }, 2],
  ["$defs", { a: {} }, 2],
  ["definitions", { a: {} }, 2],
  ["dependentSchemas", { a: {} }, 2],
  ["dependencies", { a: {}, b: ["c"] }, 2],
  ["allOf", [{}, false], 3],
  ["anyOf", [{}], 2],
  ["oneOf", [{}], 2],
  ["prefixItems", [{}], 2],
  ["items", {}, 2],
  ["items", [{}, {}], 3],
  ["additionalItems", {}, 2],
  ["contains", {}, 2],
  ["additionalProperties", false, 2],
  ["propertyNames", {}, 2],
  ["unevaluatedItems", {}, 2],
  ["unevaluatedProperties", {}, 2],
  ["contentSchema", {}, 2],
  ["not", {}, 2],
  ["if", {}, 2],
  ["then", {}, 2],
  ["else", {}, 2],
  ["enum", [{}, {}], 1],
  ["default", { properties: { a: {} } }, 1],
  ["properties", 7, 1],
  ["anyOf", {}, 1],
])("in %s: %j counts %i sub-schemas", ([keyword, value, count]) => {
  expect(surveySchema({ [keyword]: value }, LIMITS).subSchemas).toBe(count);
});

test.for<[JsonObject, boolean]>([
  [{ type: "object", properties: { a: { type: "string", maxLength: 3 } } }, true],
  [{ properties: { a: { $ref: "#" } } }, false],
  [{ properties: { a: { $dynamicRef: "#x" } } }, false],
  [{ properties: { a: { pattern: "a" } } }, false],
  [{ items: { uniqueItems: true } }, false],
  [{ patternProperties: { a: {} } }, false],
  [{ properties: { pattern: {} } }, true],
])("%j is plain: %s", ([schema, isPlain]) => {
  expect(surveySchema(schema, LIMITS).isPlain).toBe(isPlain);
});

test.for([
  ['{"$async":true}', "$async"],
  ['{"properties":{"a":{"$async":false}}}', "$async"],
  ['{"properties":{"__proto__":{"type":"string"}}}', "__proto__"],
] as const)("%s is not used because of %s", ([text, reason]) => {
  expect(fault(JSON.parse(text))).toContain(reason);
});
