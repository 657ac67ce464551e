import * as fc from "fast-check";
import { expect, test } from "vitest";
import { seenJson, shownText } from "./shown-text.ts";

test.for([
  ["a line break", "a\nb", "a\\nb"],
  ["a command to the terminal", "\u001b[2J", "\\u001b[2J"],
  ["a turn of the direction of writing", "a\u202eb", "a\\u202eb"],
  ["a blank without width", "a\u200bb", "a\\u200bb"],
  ["a byte order mark", "\ufeffa", "\\ufeffa"],
  ["a tag character, which hides a letter", "\u{e0041}", "\\udb40\\udc41"],
  ["a variation selector, which hides a byte", "a\u{e0100}", "a\\udb40\\udd00"],
  ["half of a pair", "\ud800", "\\ud800"],
  ["nothing of an ordinary text", "Größe 大 👍", "Größe 大 👍"],
] as const)("%s is shown as an escape", ([, text, shown]) => {
  expect(shownText(text)).toBe(shown);
});

test("a text that is too long is cut between two characters and ends in an ellipsis", () => {
  expect(shownText("abcdef", 3)).toBe("abc…");
  expect(shownText("ab👍", 3)).toBe("ab…");
});

test("a shown text is one line without a character that cannot be seen", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(shownText(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
});

test("JSON in which everything can be seen means what it meant before", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const json = JSON.stringify(value, undefined, 2);

      expect(JSON.parse(seenJson(json))).toEqual(JSON.parse(json));
      expect(seenJson(json)).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
});
