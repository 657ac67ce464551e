import { expect, test } from "vitest";
import { Flags } from "./flags.ts";

test.for([
  ["0", 0],
  ["65535", 65_535],
  [undefined, undefined],
] as const)("the text %j is the number %j", ([text, expected]) => {
  const flags = new Flags(new Map([["port", text]]));

  expect(flags.wholeNumber("port", 65_535)).toBe(expected);
});

test.for(["65536", "-1", "1.5", "1e3", "", "eighty"])("%j is no port", (text) => {
  const flags = new Flags(new Map([["port", text]]));

  expect(() => flags.wholeNumber("port", 65_535)).toThrow(/--port must be a whole number/);
});
