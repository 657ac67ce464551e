import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LateMap } from "./late-map.ts";

const KEY = fc.integer({ min: 0, max: 4 });
const STEP = fc.oneof(
  fc.tuple(fc.constant("set" as const), KEY, fc.integer()),
  fc.tuple(fc.constant("delete" as const), KEY, fc.constant(0)),
  fc.tuple(fc.constant("clear" as const), fc.constant(0), fc.constant(0)),
);

function contentsOf(map: LateMap<number, number> | Map<number, number>): unknown {
  return { size: map.size, keys: [...map.keys()], values: [...map.values()], all: [...map] };
}

test("whatever is done to it, it holds what a Map would hold", () => {
  fc.assert(
    fc.property(fc.array(STEP), (steps) => {
      const late = new LateMap<number, number>();
      const map = new Map<number, number>();

      for (const [step, key, value] of steps) {
        if (step === "set") for (const each of [late, map]) each.set(key, value);
        if (step === "clear") for (const each of [late, map]) each.clear();
        const hadIt = [late, map].map((each) => step === "delete" && each.delete(key));
        expect(hadIt[0]).toBe(hadIt[1]);
        expect(contentsOf(late)).toEqual(contentsOf(map));
        expect(late.has(key)).toBe(map.has(key));
        expect(late.get(key)).toBe(map.get(key));
      }
    }),
  );
});

test("an empty one shares nothing with another empty one that is filled later", () => {
  const [one, other] = [new LateMap<string, number>(), new LateMap<string, number>()];

  one.set("a", 1);

  expect([...other]).toEqual([]);
  expect(other.size).toBe(0);
});

test("entries can be deleted while they are looked at", () => {
  const map = new LateMap<string, number>();
  for (const [index, key] of ["a", "b", "c"].entries()) map.set(key, index);

  const seen: string[] = [];
  for (const [key] of map) {
    seen.push(key);
    map.delete(key);
  }

  expect(seen).toEqual(["a", "b", "c"]);
  expect(map.size).toBe(0);
});
