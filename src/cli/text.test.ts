import * as fc from "fast-check";
import { expect, test } from "vitest";
import { clip, count, harmless, oneLine, widthOf, wrap } from "./text.ts";

test.for([
  ["colours", "\u001B[31mred\u001B[0m", "[31mred[0m"],
  ["line breaks", "one\r\ntwo\n\nthree", "one two three"],
  ["a bell and a backspace", "a\u0007b\u0008c", "abc"],
  ["a change of direction", "user\u202Etxt.exe", "usertxt.exe"],
  ["letters of any language", "Grüße, 世界 👩‍👩‍👧", "Grüße, 世界 👩‍👩‍👧"],
] as const)("one line of a stranger's text keeps nothing harmful: %s", ([, text, expected]) => {
  expect(oneLine(text)).toBe(expected);
});

test("lines of a stranger's text stay, commands to the terminal do not", () => {
  const shown = harmless("a\tb\r\nc\u001B]0;title\u0007");

  expect(shown).toBe("a\tb\nc]0;title");
});

test.for([
  ["abc", 3],
  ["世界", 4],
  ["👍", 2],
  ["e\u0301", 1],
  ["", 0],
] as const)("%j takes %i cells", ([text, expected]) => {
  expect(widthOf(text)).toBe(expected);
});

test.for([
  ["fits exactly", 12, "fits exactly"],
  ["a bit too long", 8, "a bit t…"],
  ["no space at the cut", 9, "no space…"],
  ["世界世界", 5, "世界…"],
  ["anything", 0, ""],
] as const)("%j cut to %i cells is %j", ([text, columns, expected]) => {
  expect(clip(text, columns)).toBe(expected);
});

test("a cut line is never wider than asked", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(40), (text, columns) => {
      expect(widthOf(clip(oneLine(text), columns))).toBeLessThanOrEqual(columns);
    }),
  );
});

test("wrapping keeps every word and breaks between them only", () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 });
  fc.assert(
    fc.property(words, fc.integer({ min: 12, max: 40 }), (list, columns) => {
      const lines = wrap(list.join(" "), columns);

      expect(lines.join(" ")).toBe(list.join(" "));
      expect(lines.every((line) => widthOf(line) <= columns)).toBe(true);
    }),
  );
});

test("nouns are counted in words", () => {
  expect([count(0, "tool"), count(1, "tool"), count(2, "tool")]).toEqual([
    "0 tools",
    "1 tool",
    "2 tools",
  ]);
});
