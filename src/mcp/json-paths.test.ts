import { expect, test } from "vitest";
import { EACH, spansAt } from "./json-paths.ts";

function textsAt(json: string, path: readonly string[]): readonly string[] {
  const bytes = Buffer.from(json);
  return spansAt(bytes, path).map(({ valueStart, valueEnd }) =>
    bytes.toString("utf8", valueStart, valueEnd),
  );
}

test.for<[string, readonly string[], readonly string[]]>([
  ['{"a":{"b":1}}', ["a", "b"], ["1"]],
  [' {"a" : { "b" : "x" } }', ["a", "b"], ['"x"']],
  ['{"a":{"b":1}}', ["a", "c"], []],
  ['{"a":[1]}', ["a", "b"], []],
  ['{"a":1}', ["a", "b"], []],
  ['{"a":[{"b":1},{"c":2},{"b":[3]}]}', ["a", EACH, "b"], ["1", "[3]"]],
  ['{"a":{"b":1}}', ["a", EACH], []],
  ['{"a":[]}', ["a", EACH], []],
  ['{"a":1,"a":2}', ["a"], ["2"]],
  ['{"\\u0061":1}', ["a"], ["1"]],
  ["[1]", ["a"], []],
])("in %s the path %j leads to %j", ([json, path, texts]) => {
  expect(textsAt(json, path)).toEqual(texts);
});
