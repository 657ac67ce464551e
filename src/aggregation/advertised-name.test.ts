import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hashedName, isUsableName } from "./advertised-name.ts";
import { candidateOf } from "./resolvers/resolver.contract.ts";

test.for([
  ["read_file", true],
  ["a.b-C_9", true],
  ["x".repeat(64), true],
  ["x".repeat(65), false],
  ["", false],
  ["read file", false],
  ["read/file", false],
  ["read:file", false],
  ["größe", false],
  ["read\n", false],
] as const)("clients accept %j as a name: %s", ([name, expected]) => {
  expect(isUsableName(name, 64)).toBe(expected);
});

test.for([
  ["read file", "read_file_8fef2b2f"],
  ["größe", "gr__e_8fef2b2f"],
  ["😀", "__8fef2b2f"],
  ["", "_8fef2b2f"],
  ["x".repeat(100), `${"x".repeat(55)}_8fef2b2f`],
] as const)("%j becomes %j, today and after every restart", ([wanted, expected]) => {
  expect(hashedName(candidateOf("github", "original"), wanted, 64)).toBe(expected);
});

test("the hash tells backends and original names apart, however they are cut", () => {
  const candidates = [
    candidateOf("a", "bc"),
    candidateOf("ab", "c"),
    candidateOf("a", "b c"),
    candidateOf("a", '","b'),
  ];

  const names = candidates.map((candidate) => hashedName(candidate, "same", 64));

  expect(new Set(names).size).toBe(candidates.length);
});

test("every attempt gives another name that clients accept", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom(16, 64, 128), (wanted, limit) => {
      const candidate = candidateOf("a", wanted);

      const names = [0, 1, 2].map((attempt) => hashedName(candidate, wanted, limit, attempt));

      expect(new Set(names).size).toBe(3);
      expect(names.every((name) => isUsableName(name, limit))).toBe(true);
    }),
  );
});
