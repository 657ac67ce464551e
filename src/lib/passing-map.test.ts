import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PassingMap } from "./passing-map.ts";

type Step =
  | { readonly kind: "set"; readonly key: number; readonly value: string }
  | { readonly kind: "delete"; readonly key: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), key: fc.nat(8), value: fc.string() }),
  fc.record({ kind: fc.constant("delete" as const), key: fc.nat(8) }),
);

interface Holder {
  set(key: number, value: string): unknown;
  delete(key: number): boolean;
}

function apply(holder: Holder): (step: Step) => boolean | undefined {
  return (step) => {
    if (step.kind === "delete") return holder.delete(step.key);
    holder.set(step.key, step.value);
    return undefined;
  };
}

test("it holds what a Map would hold, in the same order", () => {
  fc.assert(
    fc.property(fc.array(anyStep), (steps) => {
      const expected = new Map<number, string>();
      const passing = new PassingMap<number, string>();

      const [told, tells] = [steps.map(apply(passing)), steps.map(apply(expected))];

      expect(told).toEqual(tells);
      expect([...passing.entries()]).toEqual([...expected]);
      expect([...passing.values()]).toEqual([...expected.values()]);
      expect(passing.size).toBe(expected.size);
      for (let key = 0; key <= 8; key += 1) expect(passing.get(key)).toBe(expected.get(key));
    }),
  );
});

test("what is deleted while somebody looks at all is not shown any more", () => {
  const passing = new PassingMap<string, number>();
  for (const [index, key] of ["a", "b", "c"].entries()) passing.set(key, index);

  const seen: string[] = [];
  for (const [key] of passing.entries()) {
    seen.push(key);
    passing.delete("b");
  }

  expect(seen).toEqual(["a", "c"]);
});
