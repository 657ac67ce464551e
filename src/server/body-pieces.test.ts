import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joined, type MessageBytes } from "../mcp/message-bytes.ts";
import { BodyPieces } from "./body-pieces.ts";

const chunk = fc
  .oneof(fc.nat(10), fc.integer({ min: 4_000, max: 4_200 }), fc.nat(70_000))
  .chain((size) => fc.nat(255).map((byte) => Buffer.alloc(size, byte)));

function keep([first = Buffer.alloc(0), ...rest]: readonly Buffer[]): MessageBytes {
  const pieces = new BodyPieces(first);
  for (const each of rest) pieces.add(each);
  return pieces.take();
}

test("what comes in chunks of any size is kept in its order", () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 20 }), (chunks) => {
      const kept = keep(chunks);

      expect(joined(kept).equals(Buffer.concat(chunks))).toBe(true);
    }),
  );
});

test("long chunks are kept as they came", () => {
  const chunks = [65_536, 65_536, 10_000].map((size) => Buffer.alloc(size));

  const kept = keep(chunks);

  expect(kept).toHaveLength(chunks.length);
  for (const [index, each] of chunks.entries()) expect(kept[index]).toBe(each);
});

test("a body that comes byte by byte is kept in few pieces", () => {
  const bytes = Array.from({ length: 1_000_000 }, (_byte, index) => Buffer.from([index & 0xff]));

  const kept = keep(bytes);

  expect(kept.length).toBeLessThan(100);
  expect(joined(kept)).toHaveLength(1_000_000);
});

test("a short body is one piece, however it came", () => {
  const kept = keep([10_000, 5, 10_000].map((size) => Buffer.alloc(size)));

  expect(kept).toHaveLength(20_005);
});
