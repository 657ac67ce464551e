import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

test.for([
  ["500ms", 500],
  ["30s", 30_000],
  ["1m30s", 90_000],
  ["2h", 7_200_000],
  ["1.5s", 1500],
  ["1h0m0s", 3_600_000],
] as const)("%s is %d milliseconds", ([text, expected]) => {
  expect(parseDurationMs(text)).toBe(expected);
});

test.for(["", "30", "s", "30 s", "-1s", "1d", "1e3s", "30s ", "½s", "1.s", "1m 30s"])(
  "%j is not a duration",
  (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  },
);

test("a duration is the sum of its parts", () => {
  const part = fc.nat(10_000);

  fc.assert(
    fc.property(part, part, part, part, (h, m, s, ms) => {
      const text = `${String(h)}h${String(m)}m${String(s)}s${String(ms)}ms`;
      expect(parseDurationMs(text)).toBe(((h * 60 + m) * 60 + s) * 1000 + ms);
    }),
  );
});

test.for([
  ["1024", 1024],
  ["7B", 7],
  ["64KiB", 65_536],
  ["16MiB", 16_777_216],
  ["1 GiB", 1_073_741_824],
] as const)("%s is %d bytes", ([text, expected]) => {
  expect(parseSizeBytes(text)).toBe(expected);
});

test.for(["", "MiB", "16MB", "16m", "-1", "1.5MiB", "0x10"])("%j is not a size", (text) => {
  expect(parseSizeBytes(text)).toBeUndefined();
});
