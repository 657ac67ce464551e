import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GrowingBuffer } from "./growing-buffer.ts";

test("what is taken is what was appended, piece by piece and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 20 }), (pieces) => {
      const buffer = new GrowingBuffer();

      for (const piece of pieces) buffer.append(Buffer.from(piece));
      const length = buffer.length;
      const taken = buffer.take();

      expect(taken.equals(Buffer.concat(pieces))).toBe(true);
      expect(length).toBe(taken.length);
      expect(buffer.length).toBe(0);
    }),
  );
});

test("what was taken stays as it is when more is appended", () => {
  const buffer = new GrowingBuffer();
  buffer.append(Buffer.from("first"));
  const taken = buffer.take();

  buffer.append(Buffer.from("other"));

  expect(taken.toString()).toBe("first");
});
