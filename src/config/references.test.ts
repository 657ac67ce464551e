import { expect, test } from "vitest";
import type { ReferenceSources } from "./references.ts";
import { expandReferences } from "./references.ts";

const SOURCES: ReferenceSources = {
  env: { TOKEN: "t0k", EMPTY: "", "WITH.DOT": "dotted" },
  variables: new Map([["userHome", "/home/me"]]),
  readSecret: (path) => {
    if (path === "/run/secret") return "from file\n";
    throw new Error("does not exist");
  },
};

test.for([
  ["${env:TOKEN}", "t0k"],
  ["${TOKEN}", "t0k"],
  ["Bearer ${TOKEN}!", "Bearer t0k!"],
  ["${TOKEN}${TOKEN}", "t0kt0k"],
  ["${ABSENT:-fallback}", "fallback"],
  ["${EMPTY:-fallback}", "fallback"],
  ["${ABSENT:-}", ""],
  ["${TOKEN:-fallback}", "t0k"],
  ["${file:/run/secret}", "from file"],
  ["${userHome}/x", "/home/me/x"],
  ["${WITH.DOT}", "dotted"],
  ["$${TOKEN}", "${TOKEN}"],
  ["$TOKEN $5 {x}", "$TOKEN $5 {x}"],
] as const)("%s becomes %s", ([text, expected]) => {
  const expanded = expandReferences({ a: [text] }, SOURCES);

  expect(expanded).toMatchObject({ value: { a: [expected] }, findings: [] });
});

test.for([
  ["${ABSENT}", "environment variable ABSENT"],
  ["${env:EMPTY}", "environment variable EMPTY"],
  ["${constructor}", "environment variable constructor"],
  ["${file:/absent}", "secret file /absent, which does not exist"],
  ["${input:token}", "only the editor can ask"],
  ["${#list[@]}", "is not a reference"],
  ["${}", "is not a reference"],
] as const)("%s is a problem at its place", ([text, message]) => {
  const { findings } = expandReferences({ a: { b: text } }, SOURCES);

  expect(findings).toMatchObject([{ severity: "problem", path: ["a", "b"] }]);
  expect(findings[0]?.message).toContain(message);
});

test("the places of resolved values are remembered, so that they are not shown", () => {
  const { secretPaths } = expandReferences({ a: "${TOKEN}", b: ["plain", "${TOKEN}"] }, SOURCES);

  expect([...secretPaths]).toEqual(["a", "b[1]"]);
});

test("what a reference resolves to is not read again", () => {
  const sources = { ...SOURCES, env: { NESTED: "${TOKEN}" } };

  expect(expandReferences("${NESTED}", sources).value).toBe("${TOKEN}");
});
