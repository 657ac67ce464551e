import { isUtf8 } from "node:buffer";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { areUtf8, joined } from "./message-bytes.ts";

const characters = fc
  .array(fc.constantFrom("a", "é", "中", "🙂", "\u{10ffff}"), { maxLength: 12 })
  .map((all) => Buffer.from(all.join("")));

/** Lead and continuation bytes in any order, most of which are nothing. */
const nearlyUtf8 = fc
  .array(fc.constantFrom(0x41, 0x80, 0xbf, 0xc0, 0xc3, 0xe4, 0xed, 0xf0, 0xf4, 0xf8, 0xff), {
    maxLength: 8,
  })
  .map((bytes) => Buffer.from(bytes));

const pieces = fc
  .tuple(fc.oneof(characters, nearlyUtf8), fc.array(fc.nat(), { maxLength: 6 }))
  .map(([bytes, places]) => {
    const cuts = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
    return [...cuts, bytes.length].map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end));
  });

test("pieces are UTF-8 exactly where what they are together is", () => {
  fc.assert(
    fc.property(pieces, (all) => {
      expect(areUtf8(all)).toBe(isUtf8(Buffer.concat(all)));
    }),
    { numRuns: 5_000 },
  );
});

test("joining one piece is no copy of it", () => {
  const bytes = Buffer.from("a");

  expect(joined(bytes)).toBe(bytes);
  expect(joined([bytes])).toBe(bytes);
  expect(joined([bytes, bytes]).toString()).toBe("aa");
});
