import { array, assert, constantFrom, nat, property } from "fast-check";
import { expect, test } from "vitest";
import { BoundedLines } from "./bounded-lines.ts";

/** What a reader with that cap makes of these chunks; a line that was too long is shown as null. */
function readAll(chunks: readonly string[], maxLineBytes = 8): readonly (string | null)[] {
  const seen: (string | null)[] = [];
  const lines = new BoundedLines(maxLineBytes, {
    line: (line) => void seen.push(line.toString()),
    tooLong: () => void seen.push(null),
  });
  for (const chunk of chunks) lines.push(Buffer.from(chunk));
  lines.end();
  return seen;
}

test.for<[string, readonly string[], readonly (string | null)[]]>([
  ["several lines of one chunk come one by one", ["a\nb\n"], ["a", "b"]],
  ["a line may come in pieces", ["a", "b", "c\n"], ["abc"]],
  ["a carriage return before the end belongs to the end", ["a\r\nb\r", "\n"], ["a", "b"]],
  ["empty lines vanish", ["\n\r\n\na\n\n"], ["a"]],
  ["the last line needs no end", ["a\nb"], ["a", "b"]],
  ["a line as long as the cap is one", ["12345678\n"], ["12345678"]],
  ["a line over the cap is told once, and skipped", ["123456789\na\n"], [null, "a"]],
  ["the same where it comes in pieces", ["12345", "6789", "0123\na", "\n"], [null, "a"]],
  ["the same where it never ends", ["123456789"], [null]],
])("%s", ([, chunks, expected]) => {
  expect(readAll(chunks)).toEqual(expected);
});

test("where the chunks are cut makes no difference", () => {
  const text = array(constantFrom("a", "bcd", "\n", "\r\n", "0123456789"), { maxLength: 30 });

  assert(
    property(text, array(nat(40), { maxLength: 8 }), (parts, cuts) => {
      const whole = parts.join("");
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
      const chunks = bounds.slice(1).map((end, index) => whole.slice(bounds[index], end));

      expect(readAll(chunks)).toEqual(readAll([whole]));
    }),
  );
});
