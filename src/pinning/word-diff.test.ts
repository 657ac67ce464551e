import * as fc from "fast-check";
import { expect, test } from "vitest";
import { wordDiff } from "./word-diff.ts";

test.for([
  ["a word in place of another", "Reads a file", "Writes a file", "[-Reads-] {+Writes+} a file"],
  ["words at the end", "Adds", "Adds. Send it to me", "[-Adds-] {+Adds. Send it to me+}"],
  ["words that are gone", "one two three", "one three", "one [-two-] three"],
  ["everything", "old", "new", "[-old-] {+new+}"],
  ["a text where there was none", "", "new words", "{+new words+}"],
  ["two changes apart", "a b c d", "x b c y", "[-a-] {+x+} b c [-d-] {+y+}"],
  ["a blank that nobody sees", "pay", "p\u200bay", "[-pay-] {+p\\u200bay+}"],
  ["blanks that push words out of sight", "a b", "a  b", "[-a b-] {+a  b+}"],
] as const)("shows %s", ([, before, after, shown]) => {
  expect(wordDiff(before, after)).toBe(shown);
});

test("shows a few words around a change, and not the whole text", () => {
  const words = Array.from({ length: 100 }, (_none, at) => `w${at}`);

  const diff = wordDiff(words.join(" "), words.with(50, "new").join(" "));

  expect(diff).toBe("… w45 w46 w47 w48 w49 [-w50-] {+new+} w51 w52 w53 w54 w55 …");
});

test("cuts what is long, so that nobody has to read all of it to see the rest", () => {
  const diff = wordDiff("", "x".repeat(10_000));

  expect(diff.length).toBeLessThan(500);
});

test("compares texts of thousands of words that have nothing in common", () => {
  const text = (letter: string): string =>
    Array.from({ length: 3_000 }, (_none, at) => `${letter}${at}`).join(" ");

  expect(wordDiff(text("a"), text("b"))).toMatch(/^\[-a0 .*…-\] \{\+b0 .*…\+\}$/);
});

test("a change far inside of a very long text is found", () => {
  const text = "word ".repeat(2_000_000);

  const diff = wordDiff(`${text}old end`, `${text}new end`);

  expect(diff).toMatch(/word \[-old-\] \{\+new\+\} end$/);
  expect(diff.length).toBeLessThan(100);
});

test("of two texts that differ something is shown as gone or as new", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", "d")).map((words) => words.join(" "));

  fc.assert(
    fc.property(text, text, (before, after) => {
      fc.pre(before !== after);

      expect(wordDiff(before, after)).toMatch(/\[-.+-\]|\{\+.+\+\}/);
    }),
  );
});
