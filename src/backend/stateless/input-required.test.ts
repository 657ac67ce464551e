import { expect, test } from "vitest";
import type { JsonRpcMessage } from "../../mcp/json-rpc.ts";
import { readInputRequired } from "./input-required.ts";

function read(resultJson: string, method = "tools/call"): ReturnType<typeof readInputRequired> {
  const text = `{"jsonrpc":"2.0","id":1,"result":${resultJson}}`;
  // The texts below are results.
  const message = JSON.parse(text) as JsonRpcMessage;
  return readInputRequired({ bytes: Buffer.from(text), message }, method);
}

test("questions and state are taken as they were written", () => {
  const params = '{"message":"\\u00e9","big":12345678901234567890}';

  const required = read(
    `{"inputRequests":{"a b":{"method":"elicitation/create","params":${params}},"r":{"method":"roots/list"}},"requestState":"s\\u00e9"}`,
  );

  expect(required).toEqual({
    questions: new Map([
      ["a b", { method: "elicitation/create", paramsJson: params }],
      ["r", { method: "roots/list", paramsJson: undefined }],
    ]),
    requestStateJson: '"s\\u00e9"',
  });
});

test("a state alone is a round without questions", () => {
  expect(read('{"requestState":""}')).toEqual({ questions: new Map(), requestStateJson: '""' });
});

test.for([
  ["{}", "tools/call"],
  ['{"requestState":1}', "tools/call"],
  ['{"requestState":null}', "tools/call"],
  ['{"inputRequests":[]}', "tools/call"],
  ['{"inputRequests":{"a":1}}', "tools/call"],
  ['{"inputRequests":{"a":{}}}', "tools/call"],
  ['{"inputRequests":{"a":{"method":"tools/call","params":{}}}}', "tools/call"],
  ['{"inputRequests":{"a":{"method":"roots/list","params":[]}}}', "tools/call"],
  ['{"requestState":"s"}', "completion/complete"],
] as const)("%s in answer to %s is no question that can be put", ([json, method]) => {
  expect(read(json, method)).toEqual({ fault: expect.stringMatching(/^asked for input/) });
});

test("more questions than anybody would answer are not put", () => {
  const questions = Array.from({ length: 65 }, (_, index) => [
    String(index),
    { method: "roots/list" },
  ]);

  const required = read(JSON.stringify({ inputRequests: Object.fromEntries(questions) }));

  expect(required).toEqual({ fault: expect.any(String) });
});
