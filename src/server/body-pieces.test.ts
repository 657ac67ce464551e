import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joined } from "../mcp/message-bytes.ts";
import { BodyPieces } from "./body-pieces.ts";

const chunk = fc
  .oneof(fc.nat(10), fc.integer({ min: 4_000, max: 4_200 }), fc.nat(70_000))
  .chain((size) => fc.nat(255).map((byte) => Buffer.alloc(size, byte)));

test("what comes in chunks of any size is kept in its order", () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 20 }), (chunks) => {
      const pieces = new BodyPieces();

      for (const each of chunks) pieces.add(each);

      expect(joined(pieces.take()).equals(Buffer.concat(chunks))).toBe(true);
    }),
  );
});

test("long chunks are kept as they came", () => {
  const chunks = [65_536, 65_536, 10_000].map((size) => Buffer.alloc(size));
  const pieces = new BodyPieces();

  for (const each of chunks) pieces.add(each);

  expect(pieces.take()).toEqual(chunks);
});

test("a body that comes byte by byte is kept in few pieces", () => {
  const pieces = new BodyPieces();

  for (let count = 0; count < 1_000_000; count += 1) pieces.add(Buffer.from([count & 0xff]));

  const all = pieces.take();
  expect(all.length).toBeLessThan(100);
  expect(joined(all)).toHaveLength(1_000_000);
});

test("a short body is one piece, however it came", () => {
  const pieces = new BodyPieces();

  for (const each of [10_000, 5, 10_000]) pieces.add(Buffer.alloc(each));

  expect(pieces.take()).toHaveLength(20_005);
});
