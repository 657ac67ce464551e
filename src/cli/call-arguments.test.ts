import { expect, test } from "vitest";
import { readCallArguments } from "./call-arguments.ts";

const SCHEMA = {
  properties: { text: { type: "string" }, count: { type: "integer" }, any: {} },
};

test.for([
  ["nothing", [], {}],
  ["an object", ['{"a":{"b":[1]}}'], { a: { b: [1] } }],
  ["an object that holds an equals sign", ['{"a":"b=c"}'], { a: "b=c" }],
  ["standard input", ["-"], { from: "stdin" }],
  ["a pair of a string", ["text=12"], { text: "12" }],
  ["a pair of a number", ["count=12"], { count: 12 }],
  [
    "pairs that the schema does not know",
    ["x=true", "y=[1]", "z=plain"],
    { x: true, y: [1], z: "plain" },
  ],
  ["a pair without a value", ["text="], { text: "" }],
  ["a value with an equals sign", ["text=a=b"], { text: "a=b" }],
  ["a name that objects are born with", ["__proto__=1"], Object.fromEntries([["__proto__", 1]])],
] as const)("arguments may be %s", async ([, words, expected]) => {
  const value = await readCallArguments(words, SCHEMA, async () => '{"from":"stdin"}');

  expect(value).toStrictEqual(expected);
});

test.for([
  [["{"], 65, "not JSON"],
  [["[]"], 65, "must be a JSON object"],
  [["12"], 65, "must be a JSON object"],
  [["a=1", "b"], 64, '"b" is not key=value'],
] as const)("%j is refused", async ([words, exitCode, sentence]) => {
  const reading = readCallArguments(words, SCHEMA, async () => "");

  await expect(reading).rejects.toMatchObject({
    exitCode,
    message: expect.stringContaining(sentence),
  });
});
