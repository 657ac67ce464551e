import { Ajv2020 } from "ajv/dist/2020.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { Validators, type ValidatorOptions, type Verdict } from "./validators.ts";

const LIMITS = { subSchemas: 2_000, depth: 32 };
const DRAFT_07 = "http://json-schema.org/draft-07/schema#";

function createValidators(options: Partial<ValidatorOptions> = {}): Validators {
  // A machine that is busy must not decide what fits.
  const patient = { compileBudgetMs: 60_000, checkBudgetMs: 60_000 };
  return new Validators({ limits: LIMITS, ...patient, ...options });
}

function check(schema: JsonValue, value: JsonValue, validators = createValidators()): Verdict {
  return validators.check(schema, value, JSON.stringify(value).length);
}

function kindOf(schema: JsonValue, value: JsonValue): Verdict["kind"] {
  return check(schema, value).kind;
}

const A = (schema: JsonValue): JsonObject => ({ type: "object", properties: { a: schema } });

describe("arguments", () => {
  test.for<[JsonObject, JsonValue, Verdict["kind"]]>([
    [A({ type: "string" }), { a: "x" }, "fits"],
    [A({ type: "string" }), {}, "fits"],
    [A({ type: "string" }), { a: 1 }, "faulty"],
    [A({ type: "integer" }), { a: 1.0 }, "fits"],
    [A({ type: "integer" }), { a: "1" }, "faulty"],
    [A({ multipleOf: 0.01 }), { a: 19.99 }, "fits"],
    [A({ multipleOf: 0.01 }), { a: 19.999 }, "faulty"],
    [A(true), { a: 1 }, "fits"],
    [A(false), { a: 1 }, "faulty"],
    [A({ format: "date" }), { a: "no date" }, "fits"],
    [A({ format: "nobody knows it" }), { a: "x" }, "fits"],
    [A({ "x-vendor": 1, discriminator: { propertyName: "b" } }), { a: "x" }, "fits"],
    [A({ prefixItems: [{ type: "string" }] }), { a: [1] }, "faulty"],
    [A({ $ref: "#/$defs/b", $defs: {} }), { a: 1 }, "unchecked"],
    [{ ...A({ $ref: "#/$defs/b" }), $defs: { b: { type: "string" } } }, { a: 1 }, "faulty"],
    [{ ...A({ $ref: "#b" }), $defs: { b: { $anchor: "b", type: "null" } } }, { a: 1 }, "faulty"],
    [{ $schema: DRAFT_07, ...A({ items: [{ type: "string" }] }) }, { a: [1] }, "faulty"],
    [{ $schema: DRAFT_07, dependencies: { a: ["b"] } }, { a: 1 }, "faulty"],
    [A({ uniqueItems: true }), { a: [1, 2, 1] }, "faulty"],
    [{}, { anything: [1] }, "fits"],
    [{ $ref: "https://json-schema.org/draft/2020-12/schema" }, { type: "string" }, "fits"],
    [{ $ref: "https://json-schema.org/draft/2020-12/schema" }, { type: 5 }, "faulty"],
  ])("by %j %j %s", ([schema, value, kind]) => {
    expect(kindOf(schema, value)).toBe(kind);
  });

  test.for([
    ['{"required":["toString"]}', "{}", "faulty"],
    ['{"required":["constructor"]}', '{"__proto__":{}}', "faulty"],
    ['{"additionalProperties":false}', '{"__proto__":{"isAdmin":true}}', "faulty"],
    ['{"additionalProperties":{"type":"string"}}', '{"__proto__":1}', "faulty"],
    ['{"additionalProperties":{"type":"string"}}', '{"__proto__":"x"}', "fits"],
    ['{"properties":{"constructor":{"type":"string"}}}', '{"constructor":1}', "faulty"],
    ['{"properties":{"constructor":{"type":"string"}}}', "{}", "fits"],
    ['{"properties":{"__proto__":{"type":"string"}}}', '{"__proto__":"x"}', "unchecked"],
    ['{"propertyNames":{"pattern":"^[a-z]+$"}}', '{"__proto__":1}', "faulty"],
  ] as const)("by %s %s %s", ([schema, text, kind]) => {
    expect(kindOf(JSON.parse(schema), JSON.parse(text))).toBe(kind);
    expect(JSON.stringify(({} as JsonObject)["isAdmin"])).toBeUndefined();
  });

  test("are not changed", () => {
    const value = { a: "7" };

    check({ properties: { a: { default: 1 }, b: { default: 2 } } }, value);

    expect(value).toEqual({ a: "7" });
  });
});

describe("schemas that cannot be used", () => {
  test.for<[string, JsonValue, RegExp]>([
    ["null", null, /no JSON object/],
    ["a boolean", false, /no JSON object/],
    ["a list", [], /no JSON object/],
    ["a text", "{}", /no JSON object/],
    ["an unknown dialect", { $schema: "https://example.com/d" }, /dialect/],
    ["a type that there is not", { type: "text" }, /no schema of 2020-12/],
    ["a keyword of the wrong kind", { required: "a" }, /no schema of 2020-12/],
    ["lists of items in 2020-12", { items: [{}] }, /no schema of 2020-12/],
    ["a fault of draft-07", { $schema: DRAFT_07, required: "a" }, /no schema of draft-07/],
    ["a reference to another host", { $ref: "http://127.0.0.1:1/s" }, /resolve reference/],
    ["a reference to a file", { $ref: "file:///etc/passwd" }, /resolve reference/],
    ["a reference to nothing", { $ref: "#/$defs/a" }, /resolve reference/],
    [
      "two meanings of one identifier",
      { $defs: { a: { $id: "x" }, b: { $id: "x", type: "null" } } },
      /more than one/,
    ],
    ["a promise", { $async: true }, /async/],
    [
      "a pattern with a back reference",
      { properties: { a: { pattern: String.raw`(a)\1` } } },
      /escape/,
    ],
    [
      "too many branches",
      { anyOf: Array.from({ length: 20_000 }, () => ({})) },
      /more than 2000 sub-schemas/,
    ],
  ])("%s", ([, schema, reason]) => {
    const verdict = check(schema, {});

    expect(verdict).toMatchObject({ kind: "unchecked", reason: expect.stringMatching(reason) });
  });

  test("one that is nested beyond all reading", () => {
    const text = `{"default":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;

    expect(kindOf(JSON.parse(text), {})).toBe("unchecked");
  });

  test.for<[string, JsonObject]>([
    ["to itself", { $ref: "#" }],
    [
      "through alternatives",
      { $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }] } }, $ref: "#/$defs/a" },
    ],
    [
      "in a circle",
      { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" },
    ],
    ["that is dynamic", { $dynamicAnchor: "x", allOf: [{ $dynamicRef: "#x" }] }],
    ["that is recursive", { $schema: DRAFT_07, allOf: [{ $ref: "#" }] }],
  ])("a reference without end, %s", ([, schema]) => {
    const validators = createValidators();

    expect(check(schema, {}, validators).kind).toBe("unchecked");
    expect(check(schema, {}, validators).kind).toBe("unchecked");
  });
});

describe("schemas that take long", () => {
  /** Doubles the work with each of its steps. */
  function doubling(steps: number): JsonObject {
    const $defs: Record<string, JsonValue> = { last: { type: "string" } };
    let ref = "#/$defs/last";
    for (let step = 0; step < steps; step += 1) {
      $defs[`d${step}`] = { anyOf: [{ $ref: ref }, { $ref: ref }] };
      ref = `#/$defs/d${step}`;
    }
    return { $defs, $ref: ref };
  }

  test("a check that would not end in a lifetime is left", () => {
    const validators = createValidators({ checkBudgetMs: 20 });

    const verdict = check(doubling(100), {}, validators);

    expect(verdict).toEqual({ kind: "unchecked", reason: "a check by it takes too long" });
  });

  test("one that ran out of time once is used again when it does not", () => {
    const validators = createValidators({ checkBudgetMs: 50 });
    const schema = A({ uniqueItems: true });
    const many = Array.from({ length: 50_000 }, (_, index) => ({ index }));

    expect(check(schema, { a: many }, validators).kind).toBe("unchecked");
    expect(check(schema, { a: [1, 1] }, validators).kind).toBe("faulty");
  });

  test("one that ran out of time three times is not used again", () => {
    const validators = createValidators({ checkBudgetMs: 20 });
    const schema = A({ uniqueItems: true });
    const many = Array.from({ length: 50_000 }, (_, index) => ({ index }));

    for (const _round of [1, 2, 3]) check(schema, { a: many }, validators);

    expect(check(schema, { a: [1, 1] }, validators).kind).toBe("unchecked");
  });

  test("compiling that takes too long is left", () => {
    const anyOf = Array.from({ length: 1_900 }, () => ({ type: "string" }));

    expect(check({ anyOf }, {}, createValidators({ compileBudgetMs: 1 })).kind).toBe("unchecked");
    expect(check({ anyOf }, {}, createValidators({ compileBudgetMs: 60_000 })).kind).toBe("faulty");
  });

  test("a pattern that backtracks elsewhere is checked in full", () => {
    const schema = A({ pattern: "^(a+)+$" });

    expect(kindOf(schema, { a: `${"a".repeat(50_000)}!` })).toBe("faulty");
    expect(kindOf(schema, { a: "a".repeat(50_000) })).toBe("fits");
  });

  test("a huge list of choices is checked in full", () => {
    const schema = A({ enum: Array.from({ length: 5_000 }, (_, index) => `choice ${index}`) });

    expect(kindOf(schema, { a: "choice 4999" })).toBe("fits");
    expect(kindOf(schema, { a: "choice 5000" })).toBe("faulty");
  });

  test("a recursive schema is checked as deep as the arguments are", () => {
    const tree = { type: "object", properties: { value: { type: "string" }, next: { $ref: "#" } } };
    const nest = (depth: number, value: JsonValue): JsonValue =>
      depth === 0 ? { value } : { next: nest(depth - 1, value) };

    expect(kindOf(tree, nest(50, "leaf"))).toBe("fits");
    expect(kindOf(tree, nest(50, 7))).toBe("faulty");
  });

  test("many branches are checked as long as the limit takes them", () => {
    const anyOf = Array.from({ length: 1_000 }, (_, index) => ({ const: `c${index}` }));

    expect(kindOf(A({ anyOf }), { a: "c999" })).toBe("fits");
    expect(kindOf(A({ anyOf }), { a: "c1000" })).toBe("faulty");
  });
});

test("identifiers in one schema do not lead into another", () => {
  const validators = createValidators();
  const one = { $id: "https://b1.example/s", $defs: { a: { $id: "a", type: "string" } } };
  const two = { $id: "https://b1.example/s", properties: { a: { $ref: "a" } } };

  expect(check(one, {}, validators).kind).toBe("fits");
  expect(check(two, { a: 1 }, validators)).toMatchObject({ kind: "unchecked" });
  expect(check({ ...one, $ref: "a" }, {}, validators).kind).toBe("faulty");
});

test("more schemas than are kept are checked all the same", () => {
  const validators = createValidators({ maxSchemas: 2 });
  const numbers = [0, 1, 2, 3, 2, 1, 0, 0, 3];

  const kinds = numbers.map((number) => [
    check(A({ const: number }), { a: number }, validators).kind,
    check(A({ const: number }), { a: number + 1 }, validators).kind,
  ]);

  expect(kinds).toEqual(numbers.map(() => ["fits", "faulty"]));
});

const SCALAR_SCHEMA = fc.oneof(
  fc.record({ type: fc.constantFrom("string", "integer", "number", "boolean", "null", "array") }),
  fc.record({
    enum: fc.uniqueArray(fc.constantFrom("a", "b", 1, 2, true, null), { minLength: 1 }),
  }),
  fc.record({ minimum: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ maxLength: fc.nat(3), pattern: fc.constantFrom("^a", "b$", String.raw`^\s*$`) }),
  fc.record({
    items: fc.record({ type: fc.constantFrom("string", "number") }),
    uniqueItems: fc.boolean(),
  }),
  fc.boolean(),
);
const SCHEMA = fc.record(
  {
    type: fc.constant("object"),
    properties: fc.dictionary(fc.constantFrom("a", "b", "c"), SCALAR_SCHEMA),
    required: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
    additionalProperties: SCALAR_SCHEMA,
    anyOf: fc.array(fc.record({ required: fc.uniqueArray(fc.constantFrom("a", "b")) }), {
      minLength: 1,
      maxLength: 3,
    }),
  },
  { requiredKeys: ["type"] },
);
const VALUE = fc.oneof(
  fc.constantFrom<JsonValue>("a", "ab", "", " \u00a0", 1, 2.5, -7, true, null),
  fc.array(fc.constantFrom<JsonValue>("a", "a", 1)),
);
const ARGUMENTS = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), VALUE);

test("arguments fit exactly where the schema, as the specification reads it, accepts them", () => {
  const validators = createValidators();
  fc.assert(
    fc.property(SCHEMA, ARGUMENTS, (schema, args) => {
      const reference = new Ajv2020({ strict: false, validateFormats: false });

      const verdict = check(schema, args, validators);

      expect(verdict.kind).toBe(reference.compile(schema)(args) ? "fits" : "faulty");
    }),
  );
});
