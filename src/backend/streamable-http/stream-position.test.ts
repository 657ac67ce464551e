import * as fc from "fast-check";
import { expect, test } from "vitest";
import { StreamPosition } from "./stream-position.ts";

const BOUNDS = { retryMinMs: 1_000, retryMaxMs: 60_000 };
const NOTHING = Buffer.alloc(0);
const SOMETHING = Buffer.from("{}");

test("the id of the last event that has one is where a stream goes on", () => {
  const position = new StreamPosition(BOUNDS);
  const before = position.lastEventId;

  position.passed({ id: "a", data: NOTHING });
  position.passed({ id: "b", data: SOMETHING });
  position.passed({ data: SOMETHING });

  expect([before, position.lastEventId]).toEqual([undefined, "b"]);
});

test.for(["", "é", "a\u0007b", "x".repeat(1_025)])(
  "after the id %j, which no header can carry, there is no way back",
  (id) => {
    const position = new StreamPosition(BOUNDS);
    position.passed({ id: "a", data: SOMETHING });

    position.passed({ id, data: SOMETHING });

    expect(position.lastEventId).toBeUndefined();
  },
);

test.for<readonly [number, number]>([
  [0, 1_000],
  [1, 1_000],
  [3_000, 3_000],
  [60_000, 60_000],
  [99_999_999_999, 60_000],
])("a backend that asks for %i ms is left alone for %i ms", ([retry, delayMs]) => {
  const position = new StreamPosition(BOUNDS);

  position.passed({ retry, data: NOTHING });

  expect(position.nextDelayMs(true)).toBe(delayMs);
});

test("without a wish of the backend the waits grow until something comes", () => {
  const position = new StreamPosition(BOUNDS);

  const delays = Array.from({ length: 8 }, () => position.nextDelayMs(false));
  position.passed({ data: SOMETHING });

  expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  expect(position.nextDelayMs(false)).toBe(1_000);
});

test("a backend that cannot be had is left alone longer than it asked for", () => {
  const position = new StreamPosition(BOUNDS);
  position.passed({ retry: 1_500, data: NOTHING });

  const delays = Array.from({ length: 3 }, () => position.nextDelayMs(false));

  expect(delays).toEqual([1_500, 2_000, 4_000]);
});

test("every wait keeps to its bounds", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.boolean()), { minLength: 1 }), (waits) => {
      const position = new StreamPosition(BOUNDS);
      for (const [retry, wasStream] of waits) {
        position.passed({ retry, data: NOTHING });
        const delayMs = position.nextDelayMs(wasStream);
        expect(delayMs).toBeGreaterThanOrEqual(BOUNDS.retryMinMs);
        expect(delayMs).toBeLessThanOrEqual(BOUNDS.retryMaxMs);
      }
    }),
  );
});
