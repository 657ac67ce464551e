import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isGlob, matchesGlob } from "./glob.ts";

test.for([
  ["read", "read", true],
  ["read", "Read", false],
  ["read", "read_file", false],
  ["read_*", "read_file", true],
  ["read_*", "read_", true],
  ["*_file", "read_file", true],
  ["*a*b*", "xxaxxbxx", true],
  ["*a*b*", "xxbxxaxx", false],
  ["get_?", "get_x", true],
  ["get_?", "get_", false],
  ["get_?", "get_xy", false],
  ["?", "😀", true],
  ["*", "", true],
  ["", "", true],
  ["", "x", false],
  ["a.c", "abc", false],
  ["[ab]", "a", false],
  ["*ab", "aaab", true],
  ["docs://*", "docs://a/b?c", true],
] as const)("%j against %j: %s", ([pattern, text, expected]) => {
  expect(matchesGlob(pattern, text)).toBe(expected);
});

test("a pattern made from a text by cutting out pieces matches that text", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string())), (pieces) => {
      const text = pieces.map(([kept, cut]) => kept + cut).join("");
      const pattern = pieces.map(([kept]) => `${kept}*`).join("");

      expect(matchesGlob(pattern, text)).toBe(text === "" || pattern !== "");
    }),
  );
});

test("it agrees with the plain definition of the wildcards", () => {
  const small = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
  const globs = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 6 });
  fc.assert(
    fc.property(globs, small, (pattern, text) => {
      expect(matchesGlob(pattern, text)).toBe(matchesByDefinition(pattern, text));
    }),
    { numRuns: 2_000 },
  );
});

function matchesByDefinition(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  const rest = pattern.slice(1);
  if (pattern.startsWith("*")) {
    return (
      matchesByDefinition(rest, text) ||
      (text !== "" && matchesByDefinition(pattern, text.slice(1)))
    );
  }
  const fits = text !== "" && (pattern.startsWith("?") || pattern[0] === text[0]);
  return fits && matchesByDefinition(rest, text.slice(1));
}

test("many stars against a long text come to an end", () => {
  expect(matchesGlob("*a".repeat(50) + "b", "a".repeat(50_000))).toBe(false);
});

test.for([
  ["read", false],
  ["read_*", true],
  ["rea?", true],
] as const)("%j is a glob: %s", ([pattern, expected]) => {
  expect(isGlob(pattern)).toBe(expected);
});
