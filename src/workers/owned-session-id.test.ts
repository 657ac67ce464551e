import * as fc from "fast-check";
import { expect, test } from "vitest";
import { mintSessionId } from "../domain/ids.ts";
import { MAX_WORKERS, mintOwnedSessionId, ownerOf } from "./owned-session-id.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("every id is a version 4 UUID that tells its owner", () => {
  fc.assert(
    fc.property(fc.nat(MAX_WORKERS - 1), (owner) => {
      const id = mintOwnedSessionId(owner);

      expect(id).toMatch(UUID_V4);
      expect(ownerOf(id, MAX_WORKERS)).toBe(owner);
    }),
  );
});

test("ids of one owner differ in all of their other bits", () => {
  const ids = Array.from({ length: 2_000 }, () => mintOwnedSessionId(3));

  const ones = ids.reduce(
    (sum, id) => {
      const bits = BigInt(`0x${id.replaceAll("-", "")}`)
        .toString(2)
        .padStart(128, "0");
      return sum.map((count, index) => count + Number(bits[index]));
    },
    Array.from({ length: 128 }, () => 0),
  );

  const free = ones.filter((count) => count > 0 && count < ids.length);
  expect(new Set(ids).size).toBe(ids.length);
  expect(free).toHaveLength(114);
  for (const count of free) expect(Math.abs(count - ids.length / 2)).toBeLessThan(300);
});

test("an id that no worker can have made has no owner", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: MAX_WORKERS }), (text, workers) => {
      expect(ownerOf(text, workers)).toBeUndefined();
    }),
  );
  expect(ownerOf(mintOwnedSessionId(2), 2)).toBeUndefined();
  expect(ownerOf(mintSessionId().toUpperCase().replace(/^../, "AA"), MAX_WORKERS)).toBeUndefined();
});
