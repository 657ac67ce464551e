import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { gzipStem, type GzipStem } from "./gzip-stem.ts";

function whole(stem: GzipStem, tail: string): Buffer {
  return Buffer.concat([stem.bytes, stem.end(Buffer.from(tail))]);
}

test("the beginning and any tail read as one text", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", maxLength: 2_000 }),
      fc.array(fc.string({ unit: "binary" }), { minLength: 1 }),
      async (text, tails) => {
        const stem = await gzipStem(Buffer.from(text));

        for (const tail of tails) {
          expect(gunzipSync(whole(stem, tail)).toString()).toBe(
            Buffer.from(text + tail).toString(),
          );
        }
      },
    ),
  );
});

test.for([0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 300_000])(
  "a tail of %i bytes is kept",
  async (bytes) => {
    const stem = await gzipStem(Buffer.from("beginning "));
    const tail = "t".repeat(bytes);

    expect(gunzipSync(whole(stem, tail)).toString()).toBe(`beginning ${tail}`);
  },
);

test("a long beginning that repeats itself takes little room", async () => {
  const text = '{"name":"tool"},'.repeat(10_000);

  const stem = await gzipStem(Buffer.from(text));

  expect(stem.bytes.length).toBeLessThan(text.length / 50);
  expect(gunzipSync(whole(stem, "]")).toString()).toBe(`${text}]`);
});

test("a beginning that cannot be compressed is kept", async () => {
  const noise = randomBytes(60_000);

  const stem = await gzipStem(noise);

  expect(gunzipSync(Buffer.concat([stem.bytes, stem.end(Buffer.alloc(0))]))).toEqual(noise);
});

test("each text is one member, so that a reader which stops after the first has all of it", async () => {
  const stem = await gzipStem(Buffer.from("one "));

  // What follows the first member would be read as another one, or refused.
  const bytes = whole(stem, "text");

  expect(bytes.indexOf(Buffer.from([0x1f, 0x8b]), 1)).toBe(-1);
  expect(() => gunzipSync(bytes.subarray(0, -1))).toThrow("unexpected end of file");
});
