import { expect, test } from "vitest";
import { isBelowLevel, LOG_LEVELS } from "./log-levels.ts";

test("a message passes exactly from the level on that was asked for", () => {
  const passing = LOG_LEVELS.map(
    (minimum) => LOG_LEVELS.filter((level) => !isBelowLevel(level, minimum)).length,
  );

  expect(passing).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
});

test.for([undefined, null, 3, "", "DEBUG", "verbose"])(
  "the level %j, which is none, passes",
  (level) => {
    expect(isBelowLevel(level, "emergency")).toBe(false);
  },
);
