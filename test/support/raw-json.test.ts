import * as fc from "fast-check";
import { expect, test } from "vitest";
import { rawAt } from "./raw-json.ts";

test.for([
  ['{"a":1}', ["a"], "1"],
  [' { "a" : 9007199254740993 , "b":2}', ["a"], "9007199254740993"],
  ['{"p":{"__proto__":{"x":[1,{"y":"}"}]}}}', ["p", "__proto__"], '{"x":[1,{"y":"}"}]}'],
  ['{"a\\"b":"c\\\\","d":true}', ["d"], "true"],
  ['{"a":1e400}', ["a"], "1e400"],
  ['{"a":[]}', ["b"], undefined],
  ['{"a":[]}', ["a", "b"], undefined],
  ["{}", ["a"], undefined],
  ["[1, 2]", [], "[1, 2]"],
] as const)("finds %s at %j", ([text, path, expected]) => {
  const found = rawAt(text, path);

  expect(found).toBe(expected);
});

test("finds every member of any object", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(3), (object, indent) => {
      const text = JSON.stringify(object, undefined, indent);

      for (const [key, value] of Object.entries(object)) {
        const found = rawAt(text, [key]);

        expect(JSON.parse(found ?? "absent")).toEqual(JSON.parse(JSON.stringify(value)));
      }
    }),
  );
});
