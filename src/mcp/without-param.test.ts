import { expect, test } from "vitest";
import { withoutParam } from "./without-param.ts";

const CASES: readonly (readonly [string, string])[] = [
  ['{"id":1,"params":{"task":{"ttl":1},"a":2}}', '{"id":1,"params":{"a":2}}'],
  ['{"params":{"a":2, "task" : {} },"id":1}', '{"params":{"a":2 },"id":1}'],
  [
    '{"params":{"a":1,"task":3,"b":12345678901234567890}}',
    '{"params":{"a":1,"b":12345678901234567890}}',
  ],
  ['{"params":{"task":null}}', '{"params":{}}'],
  ['{"params":{"arguments":{"task":1}}}', '{"params":{"arguments":{"task":1}}}'],
  ['{"task":1}', '{"task":1}'],
  ['{"params":[1]}', '{"params":[1]}'],
];

test.for(CASES)("%s becomes %s", ([message, expected]) => {
  expect(withoutParam(Buffer.from(message), "task").toString()).toBe(expected);
});
