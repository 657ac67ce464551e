import { expect, test } from "vitest";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { NOT_CACHED, ownAnswer, toClientAnswer, type AnswerContext } from "./client-answer.ts";

const CONTEXT: AnswerContext = {
  method: "tools/call",
  idJson: '"client"',
  serverInfoJson: '{"name":"gate"}',
  isShared: true,
};
const OURS = '"io.modelcontextprotocol/serverInfo":{"name":"gate"}';

function answer(text: string): BackendMessage {
  return { bytes: Buffer.from(text), message: JSON.parse(text) };
}

function told(text: string, context: Partial<AnswerContext> = {}): string {
  return toClientAnswer(answer(text), { ...CONTEXT, ...context }).toString();
}

test("a sessionful backend's result is made complete, all other bytes as they were", () => {
  const content = '"content":[ {"type":"text","text":"\\u00e9"} ],"n":12345678901234567890';

  const bytes = told(`{"jsonrpc":"2.0","id":7,"result":{${content}}}`);

  expect(bytes).toBe(
    `{"jsonrpc":"2.0","id":"client","result":{"resultType":"complete","_meta":{${OURS}},${content}}}`,
  );
});

test.for([
  ["an empty result", "{}", `{"resultType":"complete","_meta":{${OURS}}}`],
  [
    "what _meta says besides",
    '{"_meta":{"a":1}}',
    `{"resultType":"complete","_meta":{${OURS},"a":1}}`,
  ],
  [
    "who the backend says it is",
    '{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"b"},"a":1}}',
    `{"resultType":"complete","_meta":{${OURS},"a":1}}`,
  ],
  ["a _meta that is none", '{"_meta":3}', `{"resultType":"complete","_meta":{${OURS}}}`],
  ["an unknown kind of result", '{"resultType":"task"}', `{"_meta":{${OURS}},"resultType":"task"}`],
] as const)("%s is told as the revision says", ([, result, expected]) => {
  expect(told(`{"jsonrpc":"2.0","id":7,"result":${result}}`)).toBe(
    `{"jsonrpc":"2.0","id":"client","result":${expected}}`,
  );
});

test.for([
  ["nothing said", {}, true, { ttlMs: 0, cacheScope: "private" }],
  ["said for all", { ttlMs: 5, cacheScope: "public" }, true, { ttlMs: 5, cacheScope: "public" }],
  [
    "said for all, seen by one",
    { ttlMs: 5, cacheScope: "public" },
    false,
    { ttlMs: 5, cacheScope: "private" },
  ],
  ["said oddly", { ttlMs: 5, cacheScope: "all" }, true, { ttlMs: 5, cacheScope: "private" }],
] as const)("how long what was read may be kept: %s", ([, given, isShared, expected]) => {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { contents: [], ...given } });

  const { result } = JSON.parse(told(text, { method: "resources/read", isShared }));

  expect(result).toMatchObject(expected);
});

test.for([
  ["resultType", "7"],
  ["resultType", "null"],
  ["resultType", "{}"],
  ["ttlMs", '"5"'],
  ["ttlMs", "null"],
  ["ttlMs", "-1"],
  ["ttlMs", "1e400"],
  ["cacheScope", "3"],
] as const)(
  "the member %s, of which %s is no value, is put right where it stands",
  ([key, json]) => {
    const bytes = told(`{"jsonrpc":"2.0","id":1,"result":{"contents":[],"${key}":${json},"n":1}}`, {
      method: "resources/read",
    });

    expect(bytes.split(`"${key}":`)).toHaveLength(2);
    expect(JSON.parse(bytes).result).toEqual({
      resultType: "complete",
      ttlMs: 0,
      cacheScope: "private",
      contents: [],
      n: 1,
      _meta: expect.anything(),
    });
  },
);

test("a question has its state replaced and is kept by nobody", () => {
  const result = { resultType: "input_required", requestState: "theirs", inputRequests: {} };
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, result });

  const sent = JSON.parse(told(text, { method: "resources/read", requestState: "sealed" }));

  expect(sent.result).toEqual({ ...result, requestState: "sealed", _meta: expect.anything() });
});

test.for([
  [-32_002, -32_602],
  [-32_042, -32_603],
  [-32_601, -32_601],
  [42, 42],
] as const)("the error code %i of a backend is told as %i", ([code, expected]) => {
  const error = { code, message: "m", data: { uri: "a://b", code: 1 } };

  const sent = JSON.parse(told(JSON.stringify({ jsonrpc: "2.0", id: 1, error })));

  expect(sent).toEqual({ jsonrpc: "2.0", id: "client", error: { ...error, code: expected } });
});

test("a result of ours says of what kind it is, how long it holds and who says it", () => {
  const bytes = ownAnswer(Buffer.from('{"tools":[]}'), CONTEXT, { hint: NOT_CACHED });

  expect(JSON.parse(bytes.toString())).toEqual({
    jsonrpc: "2.0",
    id: "client",
    result: {
      resultType: "complete",
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "gate" } },
      tools: [],
    },
  });
});
