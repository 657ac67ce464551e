import { expect, test } from "vitest";
import type { JsonObject } from "../../domain/json.ts";
import { readParamHeaders } from "./param-headers.ts";

function toolWith(properties: JsonObject, more: JsonObject = {}): JsonObject {
  return { name: "t", inputSchema: { type: "object", properties, ...more } };
}

const REGION = { type: "string", "x-mcp-header": "Region" };

test("annotated parameters are found by the path of properties that leads to them", () => {
  const tool = toolWith({
    region: REGION,
    plain: { type: "string" },
    deep: { type: "object", properties: { on: { type: "boolean", "x-mcp-header": "X-On" } } },
    "x-mcp-header": { type: "integer", "x-mcp-header": "n!" },
  });

  expect(readParamHeaders(tool)).toEqual({
    headers: [
      { header: "mcp-param-region", path: ["region"] },
      { header: "mcp-param-x-on", path: ["deep", "on"] },
      { header: "mcp-param-n!", path: ["x-mcp-header"] },
    ],
  });
});

test.for<JsonObject>([
  { name: "t" },
  { name: "t", inputSchema: true },
  toolWith({}, { default: { "x-mcp-header": "" }, examples: [{ "x-mcp-header": 1 }] }),
])("a tool without annotations asks for no headers: %j", (tool) => {
  expect(readParamHeaders(tool)).toEqual({ headers: [] });
});

test.for<readonly [string, JsonObject]>([
  ["an empty name", toolWith({ a: { type: "string", "x-mcp-header": "" } })],
  ["a name with a space", toolWith({ a: { type: "string", "x-mcp-header": "a b" } })],
  ["a name with a line break", toolWith({ a: { type: "string", "x-mcp-header": "a\r\nb" } })],
  ["a name that is no text", toolWith({ a: { type: "string", "x-mcp-header": 1 } })],
  ["a number", toolWith({ a: { type: "number", "x-mcp-header": "A" } })],
  ["an object", toolWith({ a: { type: "object", "x-mcp-header": "A" } })],
  ["no type", toolWith({ a: { "x-mcp-header": "A" } })],
  ["two of one name", toolWith({ a: REGION, b: { ...REGION, "x-mcp-header": "REGION" } })],
  ["the arguments themselves", { inputSchema: REGION }],
  ["an element of an array", toolWith({ a: { type: "array", items: REGION } })],
  ["a choice", toolWith({ a: { anyOf: [{ type: "integer" }, REGION] } })],
  ["a condition", toolWith({}, { if: { properties: { a: REGION } } })],
  ["a definition", toolWith({}, { $defs: { region: REGION } })],
  ["a property of an element", toolWith({ a: { items: { properties: { b: REGION } } } })],
])("a tool that annotates %s cannot be used", ([, tool]) => {
  expect(readParamHeaders(tool)).toEqual({ fault: expect.any(String) });
});
