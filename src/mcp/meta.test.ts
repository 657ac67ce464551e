import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../domain/json.ts";
import { joinMeta, metaOf, splitMeta } from "./meta.ts";
import type { MetaParts } from "./meta.ts";

const PAIRS: readonly [string, MetaParts | undefined, JsonObject | undefined][] = [
  ["nothing", undefined, undefined],
  ["a token only", { progressToken: "tok" }, { progressToken: "tok" }],
  ["other fields only", { additionalFields: { a: 1 } }, { a: 1 }],
  [
    "both",
    { progressToken: "tok", additionalFields: { a: { b: [1] } } },
    { progressToken: "tok", a: { b: [1] } },
  ],
  ["a token that is a number", { progressToken: 7 }, { progressToken: 7 }],
  ["a token that is 0", { progressToken: 0 }, { progressToken: 0 }],
];

test.for(PAIRS)("%s is put together [seed 53]", ([, parts, meta]) => {
  expect(joinMeta(parts)).toEqual(meta);
});

test.for(PAIRS)("%s is taken apart [seed 53]", ([, parts, meta]) => {
  expect(splitMeta(meta)).toEqual(parts);
});

test("an empty one is none, either way [seed 53]", () => {
  expect(joinMeta({})).toBeUndefined();
  expect(joinMeta({ additionalFields: {} })).toBeUndefined();
  expect(splitMeta({})).toBeUndefined();
});

test("a token that is null is none [seed 53]", () => {
  expect(splitMeta({ progressToken: null })).toBeUndefined();
  expect(splitMeta({ progressToken: null, a: 1 })).toEqual({ additionalFields: { a: 1 } });
});

test("the token beats a field of its name [seed 53]", () => {
  const parts = { progressToken: "token", additionalFields: { progressToken: "field", a: 1 } };

  expect(joinMeta(parts)).toEqual({ progressToken: "token", a: 1 });
});

test("a token of an odd kind stays where it was", () => {
  const meta = { progressToken: { odd: true }, a: 1 };

  expect(splitMeta(meta)).toEqual({ additionalFields: meta });
  expect(joinMeta(splitMeta(meta))).toEqual(meta);
});

test("taking apart and putting together gives the same again [seed 53]", () => {
  const token = fc.option(fc.oneof(fc.string(), fc.integer()), { nil: undefined });

  fc.assert(
    fc.property(token, fc.dictionary(fc.string(), fc.jsonValue()), (progressToken, fields) => {
      const { progressToken: _unused, ...others } = fields;
      const text = JSON.stringify({ ...others, progressToken });
      // What `JSON.parse` makes of an object's text is an object.
      const meta = JSON.parse(text) as JsonObject;

      expect(joinMeta(splitMeta(meta)) ?? {}).toEqual(meta);
    }),
  );
});

test.for([
  { message: {}, meta: undefined },
  { message: { _meta: {} }, meta: undefined },
  { message: { _meta: null }, meta: undefined },
  { message: { _meta: "text" }, meta: undefined },
  { message: { _meta: { a: 1 } }, meta: { a: 1 } },
])("the meta of $message is $meta", ({ message, meta }) => {
  expect(metaOf(message)).toEqual(meta);
});
