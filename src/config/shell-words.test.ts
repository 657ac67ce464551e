import * as fc from "fast-check";
import { expect, test } from "vitest";
import { splitWords } from "./shell-words.ts";

test.for([
  ["npx -y server", ["npx", "-y", "server"]],
  ["  a   b ", ["a", "b"]],
  [`a "b c" 'd "e'`, ["a", "b c", 'd "e']],
  [`a\\ b c`, ["a b", "c"]],
  [`x="1 2"'3'4`, ["x=1 234"]],
  [`"a \\" \\\\ \\n"`, ['a " \\ \\n']],
  ["a '' b", ["a", "", "b"]],
  ["echo $HOME *.ts; rm -rf /", ["echo", "$HOME", "*.ts;", "rm", "-rf", "/"]],
  ["", []],
] as const)("%s is split the way a shell reads quotes", ([line, words]) => {
  expect(splitWords(line)).toEqual(words);
});

test.for([`a "b`, "a 'b", "a\\"])("%s has no end", (line) => {
  expect(splitWords(line)).toBeUndefined();
});

test("words in single quotes come out as they were", () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (words) => {
      const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
      expect(splitWords(line)).toEqual(words);
    }),
  );
});
