import { assert, json, property } from "fast-check";
import { expect, test } from "vitest";
import { isSameJson } from "./same-json.ts";

/** The same text for the same value: the keys of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

test("two values are the same exactly where they say the same", () => {
  assert(
    property(json({ maxDepth: 3 }), json({ maxDepth: 3 }), (one, other) => {
      const isSame = canonical(JSON.parse(one)) === canonical(JSON.parse(other));

      expect(isSameJson(JSON.parse(one), JSON.parse(one))).toBe(true);
      expect(isSameJson(JSON.parse(one), JSON.parse(other))).toBe(isSame);
    }),
  );
});

test.for([
  ['{"a":1,"b":2}', '{"b":2,"a":1}', true],
  ['{"a":1}', '{"a":1,"b":2}', false],
  ['{"a":1,"b":2}', '{"a":1}', false],
  ['{"a":1}', '{"b":1}', false],
  ["[1,2]", "[2,1]", false],
  ["[]", "{}", false],
  ["{}", "null", false],
  ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}', true],
  ['{"__proto__":{"a":1}}', "{}", false],
  ['{"toString":1}', '{"valueOf":1}', false],
] as const)("%s and %s: %s", ([one, other, isSame]) => {
  expect(isSameJson(JSON.parse(one), JSON.parse(other))).toBe(isSame);
});
