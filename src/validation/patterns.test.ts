import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compilePattern } from "./patterns.ts";

/** Texts that tell the readings of patterns apart. */
const TEXTS = [
  "",
  "a",
  "aab",
  "A",
  "7",
  "a b",
  "\u00a0",
  "\ufeff",
  "\u2028",
  "\r",
  "\n",
  "\v",
  "\b",
  "é",
  "λ",
  "😀",
  "[",
  "]",
  ":",
  "-",
  "a@b.c",
  "a/b",
  "\\",
  "x".repeat(40),
];

test.for([
  "^a+b?$",
  "a",
  "^$",
  "^.$",
  "^.+$",
  String.raw`^\s+$`,
  String.raw`^\S+$`,
  String.raw`^[\s]$`,
  String.raw`^[^\s]$`,
  String.raw`^[\w-]+$`,
  String.raw`^[\b]$`,
  String.raw`\ba\b`,
  String.raw`^\d{1,3}$`,
  String.raw`^[^\s@]+@[^\s@]+\.[a-z]+$`,
  String.raw`^\u00e9$`,
  String.raw`^\u{1F600}$`,
  String.raw`^\x41$`,
  String.raw`^a\/b$`,
  String.raw`^\p{L}$`,
  String.raw`^\P{L}$`,
  String.raw`^\p{Script=Greek}$`,
  String.raw`^\p{Lu}$`,
  String.raw`^[\[\]]$`,
  "^[[]$",
  "^[^[]$",
  "^[[:a]$",
  "^[^]$",
  "^[]$",
  String.raw`^\v$`,
  String.raw`^[.]$`,
  String.raw`^\\$`,
  "^(?:a|b)+$",
  "^(?<name>a)$",
  "^[a-z]{2,}?$",
])("%s matches what it does in ECMAScript", (pattern) => {
  const own = compilePattern(pattern);
  const native = new RegExp(pattern, "u");

  expect(TEXTS.filter((text) => own.test(text))).toEqual(TEXTS.filter((text) => native.test(text)));
});

const ATOM = fc.constantFrom(
  "a",
  "b",
  ".",
  "^",
  "$",
  "[ab]",
  "[^a]",
  "(?:a|b)",
  String.raw`\s`,
  String.raw`\S`,
  String.raw`\w`,
  String.raw`\d`,
  String.raw`\b`,
);
const QUANTIFIER = fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,3}");
const ASSERTION = /[$^]|\\b/;
const PATTERN = fc
  .array(fc.tuple(ATOM, QUANTIFIER), { maxLength: 8 })
  .map((parts) =>
    parts.map(([atom, quantifier]) => (ASSERTION.test(atom) ? atom : atom + quantifier)).join(""),
  );
const TEXT = fc.string({ unit: fc.constantFrom("a", "b", " ", "1", "\n", "\u00a0", "😀") });

test("patterns match what they do in ECMAScript, whatever the text", () => {
  fc.assert(
    fc.property(PATTERN, TEXT, (pattern, text) => {
      expect(compilePattern(pattern).test(text)).toBe(new RegExp(pattern, "u").test(text));
    }),
  );
});

test.for(["(?=a)b", "(?!a)b", "(?<=a)b", String.raw`(a)\1`, "a{1001}", "(", "["])(
  "%s does not compile",
  (pattern) => {
    expect(() => compilePattern(pattern)).toThrow("error parsing regexp");
  },
);

test.for(["(a+)+$", "^(a|a)*$", "(.*a){20}$", String.raw`^(\w+\s?)*$`])(
  "%s meets its worst text and ends",
  (pattern) => {
    expect(compilePattern(pattern).test(`${"a".repeat(50_000)}!`)).toBe(false);
  },
);
