import { expect, test } from "vitest";
import { mirrorHeaders } from "./request-headers.ts";

const ALWAYS = ["mcp-protocol-version", "2026-07-28", "mcp-method"];

function headersOf(method: string, params: string): readonly string[] {
  return mirrorHeaders(Buffer.from(`{"params":${params},"method":"${method}"}`), method, [
    { header: "mcp-param-a", path: ["a"] },
    { header: "mcp-param-b", path: ["deep", "b"] },
  ]);
}

test.for([
  ["tools/call", '{"name":"n"}', ["mcp-name", "n"]],
  ["prompts/get", '{"name":"\\u00fc"}', ["mcp-name", "=?base64?w7w=?="]],
  ["resources/read", '{"uri":"file:///x"}', ["mcp-name", "file:///x"]],
  ["tasks/get", '{"taskId":"7"}', ["mcp-name", "7"]],
  ["tools/list", '{"name":"n"}', []],
  ["tools/call", '{"name":7}', []],
] as const)("%s with %s is sent with %j", ([method, params, expected]) => {
  expect(headersOf(method, params)).toEqual([...ALWAYS, method, ...expected]);
});

test.for([
  ['{"a":"x","deep":{"b":-7}}', ["mcp-param-a", "x", "mcp-param-b", "-7"]],
  ['{"a":true,"deep":{"b":42.0}}', ["mcp-param-a", "true", "mcp-param-b", "42"]],
  ['{"a":null,"deep":null}', []],
  ['{"a":{},"deep":[]}', []],
  ["[]", []],
] as const)("arguments %s are mirrored as %j", ([args, expected]) => {
  const headers = headersOf("tools/call", `{"arguments":${args},"name":"n"}`);

  expect(headers.slice(6)).toEqual(expected);
});
