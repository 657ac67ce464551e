import { expect, test } from "vitest";
import { challengeParameter } from "./challenge.ts";

test.for([
  ['Bearer scope="a b", error="invalid_token"', "scope", "a b"],
  ['Bearer scope="a b", error="invalid_token"', "error", "invalid_token"],
  ["Bearer error=insufficient_scope, scope=a", "error", "insufficient_scope"],
  ['Bearer realm="x \\"scope=no\\" y", scope="yes"', "scope", "yes"],
  [
    'Bearer resource_metadata = "https://b.example/x?y=1,2"',
    "resource_metadata",
    "https://b.example/x?y=1,2",
  ],
  ['DPoP algs="ES256", Bearer scope="s"', "scope", "s"],
  ['Bearer xscope="a"', "scope", undefined],
  ["Bearer", "scope", undefined],
  [undefined, "scope", undefined],
] as const)("in %s the parameter %s is %s", ([challenge, name, value]) => {
  expect(challengeParameter(challenge, name)).toBe(value);
});

test("a challenge that goes on and on is read quickly", () => {
  expect(challengeParameter(`Bearer scope="${"\\".repeat(100_000)}`, "scope")).toBeUndefined();
});
