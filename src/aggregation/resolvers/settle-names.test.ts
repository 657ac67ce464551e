import { expect, test } from "vitest";
import { hashedName } from "../advertised-name.ts";
import { candidateOf, namesOf } from "./resolver.contract.ts";
import { settleNames } from "./settle-names.ts";

test("a name goes to the one whose own it is, before an override and before a prefix", () => {
  const own = candidateOf("c", "a_x");
  const overridden = candidateOf("b", "y", "a_x");
  const prefixed = candidateOf("a", "x");

  const { kept, findings } = settleNames(
    [prefixed, overridden, own].map((candidate) => ({ candidate, wanted: "a_x" })),
    64,
  );

  expect(namesOf(kept)["c/a_x"]).toBe("a_x");
  expect(findings.map(({ originalName }) => originalName)).toEqual(["y", "x"]);
});

test("an override goes before a prefix", () => {
  const overridden = candidateOf("b", "y", "a_x");
  const prefixed = candidateOf("a", "x");

  const { kept } = settleNames(
    [prefixed, overridden].map((candidate) => ({ candidate, wanted: "a_x" })),
    64,
  );

  expect(namesOf(kept)["b/y"]).toBe("a_x");
});

test("a name that ends in a hash gives way to the same name without need of one", () => {
  const odd = candidateOf("a", "a b");
  const taken = hashedName(odd, "a b", 64);
  const usable = candidateOf("b", taken);

  const { kept } = settleNames(
    [odd, usable].map((candidate) => ({ candidate, wanted: candidate.name })),
    64,
  );

  expect(namesOf(kept)).toEqual({
    "a/a b": hashedName(odd, "a b", 64, 1),
    [`b/${taken}`]: taken,
  });
});

test("a finding says which name was wanted and what was wrong with it", () => {
  const { findings } = settleNames([{ candidate: candidateOf("a", "a b"), wanted: "a b" }], 64);

  expect(findings).toMatchObject([{ kind: "name_changed", backend: "a", originalName: "a b" }]);
  expect(findings[0]?.message).toContain('"a b" is not 1 to 64 of');
});
