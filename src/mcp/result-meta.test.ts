import * as fc from "fast-check";
import { expect, test } from "vitest";
import { withResultMeta } from "./result-meta.ts";

function mark(answer: string): string {
  return withResultMeta(Buffer.from(answer), "told", "true").toString();
}

test.for<[string, string, string]>([
  [
    "a result without _meta",
    '{"id":1,"result":{"content":[]}}',
    '{"id":1,"result":{"_meta":{"told":true},"content":[]}}',
  ],
  ["an empty result", '{"result": { }}', '{"result": {"_meta":{"told":true} }}'],
  [
    "a result with _meta",
    '{"result":{"a":1,"_meta":{"b":9007199254740993}}}',
    '{"result":{"a":1,"_meta":{"told":true,"b":9007199254740993}}}',
  ],
  ["an empty _meta", '{"result":{"_meta":{}}}', '{"result":{"_meta":{"told":true}}}'],
  [
    "a member of that name",
    '{"result":{"_meta":{"told":[1,{}],"b":2}}}',
    '{"result":{"_meta":{"told":true,"b":2}}}',
  ],
  ["a _meta that is null", '{"result":{"_meta":null}}', '{"result":{"_meta":{"told":true}}}'],
  ["a _meta that is a list", '{"result":{"_meta":[1]}}', '{"result":{"_meta":{"told":true}}}'],
  [
    "two of them, of which the last counts",
    '{"result":{"_meta":{},"_meta":{"a":1}}}',
    '{"result":{"_meta":{},"_meta":{"told":true,"a":1}}}',
  ],
  [
    "no result",
    '{"id":1,"error":{"code":1,"message":""}}',
    '{"id":1,"error":{"code":1,"message":""}}',
  ],
  ["a result that is no object", '{"result":[{"_meta":{}}]}', '{"result":[{"_meta":{}}]}'],
])("of %s only what must change does", ([, answer, expected]) => {
  expect(mark(answer)).toBe(expected);
});

test("whatever the result holds, the member is there and all else is as it was", () => {
  const values = fc.jsonValue({ maxDepth: 2 });
  const fields = fc.dictionary(fc.stringMatching(/^[a-s]{0,5}$/), values);
  const meta = fc.option(fields, { nil: undefined });

  fc.assert(
    fc.property(fields, meta, fc.jsonValue(), (rest, before, value) => {
      const result = before === undefined ? rest : { ...rest, _meta: before };
      const answer = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
      const valueJson = JSON.stringify(value);
      const entry = `"told":${valueJson}`;

      const text = withResultMeta(Buffer.from(answer), "told", valueJson).toString();

      expect(JSON.parse(text).result["_meta"].told).toEqual(JSON.parse(valueJson));
      const withoutIt = [`"_meta":{${entry}},`, `"_meta":{${entry}}`, `${entry},`, entry].map(
        (added) => text.replace(added, () => ""),
      );
      expect(withoutIt).toContain(answer);
    }),
  );
});
