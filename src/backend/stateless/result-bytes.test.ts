import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonRpcMessage } from "../../mcp/json-rpc.ts";
import { forSession, forStatelessClient, withId } from "./result-bytes.ts";

function answer(text: string): { readonly bytes: Buffer; readonly message: JsonRpcMessage } {
  // The texts below are messages.
  return { bytes: Buffer.from(text), message: JSON.parse(text) as JsonRpcMessage };
}

const SERVER = '"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}';

test.for([
  ['{"id":1,"result":{"resultType":"complete"}}', '{"id":1,"result":{}}'],
  [
    '{"result":{ "content":[ ],"resultType":"complete","n":1.50 },"id":1}',
    '{"result":{ "content":[ ],"n":1.50 },"id":1}',
  ],
  [
    '{"id":1,"result":{"ttlMs":5,"cacheScope":"public","contents":[1e3]}}',
    '{"id":1,"result":{"contents":[1e3]}}',
  ],
  [`{"id":1,"result":{"a":1,"_meta":{${SERVER}}}}`, '{"id":1,"result":{"a":1}}'],
  [
    `{"id":1,"result":{"_meta":{"x":12345678901234567890,${SERVER}},"a":1}}`,
    '{"id":1,"result":{"_meta":{"x":12345678901234567890},"a":1}}',
  ],
  ['{"id":1,"result":{"_meta":{"x":1}}}', '{"id":1,"result":{"_meta":{"x":1}}}'],
  ['{"id":1,"error":{"code":1,"message":"m"}}', '{"id":1,"error":{"code":1,"message":"m"}}'],
] as const)("of %s a client of a session gets %s", ([given, expected]) => {
  const { bytes, message } = forSession(answer(given));

  expect(bytes.toString()).toBe(expected);
  expect(message).toEqual(JSON.parse(expected));
});

test("a client without a session gets everything but who answered", () => {
  const given = answer(
    `{"id":1,"result":{"resultType":"task","ttlMs":1,"cacheScope":"private","_meta":{${SERVER},"x":1}}}`,
  );

  const { bytes } = forStatelessClient(given);

  expect(bytes.toString()).toBe(
    '{"id":1,"result":{"resultType":"task","ttlMs":1,"cacheScope":"private","_meta":{"x":1}}}',
  );
});

test("an answer without anything of it is not copied", () => {
  const given = answer('{"id":1,"result":{"content":[]}}');

  expect(forSession(given)).toBe(given);
});

test("an answer gets back the id of the client, digit by digit", () => {
  const { bytes } = withId(answer('{"result":{},"id":"vmcp:round:1"}'), "12345678901234567890");

  expect(bytes.toString()).toBe('{"result":{},"id":12345678901234567890}');
});

test("whatever a result holds, nothing else of it changes", () => {
  const key = fc.oneof(
    fc.string(),
    fc.constantFrom("resultType", "ttlMs", "cacheScope", "content"),
  );

  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue()), (result) => {
      const text = JSON.stringify({ id: 1, result });

      const { bytes } = forSession(answer(text));

      // The text of the result above.
      const parsed = JSON.parse(text) as { result: Record<string, unknown> };
      const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, ...rest } = parsed.result;
      expect(JSON.parse(bytes.toString())).toEqual({ id: 1, result: rest });
    }),
  );
});
