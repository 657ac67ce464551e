import { expect, test } from "vitest";
import { didYouMean } from "./suggestion.ts";

const KNOWN = ["incomingAuth", "outgoingAuth", "backends", "url", "env", "args"];

test.for([
  ["incommingAuth", "incomingAuth"],
  ["incoming_auth", "incomingAuth"],
  ["backend", "backends"],
  ["arg", "args"],
  ["Url", "url"],
  ["ulr", "url"],
  ["evn", "env"],
  ["backedns", "backends"],
] as const)("%s is taken for a slip of %s", ([word, meant]) => {
  expect(didYouMean(word, KNOWN)).toBe(`did you mean "${meant}"?`);
});

test.for(["zzz", "ab", "completelyDifferent", "x".repeat(10_000)])(
  "%s is no slip of anything",
  (word) => {
    expect(didYouMean(word, KNOWN)).toBeUndefined();
  },
);
