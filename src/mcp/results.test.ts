import { describe, expect, test } from "vitest";
import { toMcpToolResult, toPromptResult, toReadResult, toToolCallResult } from "./results.ts";

describe("the result of a tool call", () => {
  const RESULT = {
    content: [{ type: "text", text: "hi" }],
    structuredContent: { said: "hi" },
    isError: true,
    _meta: { "example.com/x": 1 },
    vendor: 1,
  };

  test("is read with its content, structured content, verdict and meta", () => {
    expect(toToolCallResult(RESULT)).toEqual({
      content: [{ type: "text", text: "hi" }],
      structuredContent: { said: "hi" },
      isError: true,
      meta: { "example.com/x": 1 },
      raw: RESULT,
    });
  });

  test("has no structured content unless the backend sent some", () => {
    const result = toToolCallResult({ content: [{ type: "text", text: '{"a":1}' }] });

    expect("structuredContent" in result).toBe(false);
    expect("meta" in result).toBe(false);
    expect(result.isError).toBe(false);
  });

  test.for([
    { raw: {}, content: [] },
    { raw: { content: "text", isError: "yes", _meta: 5 }, content: [] },
  ])("is read without throwing where it is malformed: $raw", ({ raw, content }) => {
    expect(toToolCallResult(raw)).toEqual({ content, isError: false, raw });
  });

  test("is written as it came, fields that nobody knows included", () => {
    expect(toMcpToolResult(toToolCallResult(RESULT))).toEqual(RESULT);
  });

  test("structured content that is no object survives", () => {
    const raw = { content: [], structuredContent: [1, null], isError: false };

    expect(toMcpToolResult(toToolCallResult(raw))).toEqual(raw);
  });

  test("is written with what was changed on the way", () => {
    const result = toToolCallResult(RESULT);

    const written = toMcpToolResult({
      ...result,
      content: [{ type: "text", text: "changed" }],
      isError: false,
    });

    expect(written).toEqual({
      ...RESULT,
      content: [{ type: "text", text: "changed" }],
      isError: false,
    });
  });
});

describe("the result of reading a resource", () => {
  test("is read part by part", () => {
    const raw = {
      contents: [
        { uri: "a:1", mimeType: "text/plain", text: "hi", _meta: { m: 1 } },
        { uri: "a:2", blob: "aGk=" },
      ],
      _meta: { x: 1 },
    };

    expect(toReadResult(raw)).toEqual({
      contents: [
        { uri: "a:1", mimeType: "text/plain", text: "hi", resourceExtra: { _meta: { m: 1 } } },
        { uri: "a:2", data: "aGk=" },
      ],
      meta: { x: 1 },
      raw,
    });
  });

  test.for([{}, { contents: null }, { contents: [null, 5] }])(
    "is read without throwing where it is malformed: %j",
    (raw) => {
      expect(toReadResult(raw)).toEqual({ contents: [], raw });
    },
  );
});

describe("the result of getting a prompt", () => {
  test("is read message by message", () => {
    const raw = {
      description: "Greets",
      messages: [
        { role: "user", content: { type: "text", text: "hi" } },
        { content: { type: "resource_link", uri: "a:1", name: "a" } },
      ],
      _meta: { x: 1 },
    };

    expect(toPromptResult(raw)).toEqual({
      description: "Greets",
      messages: [
        { role: "user", content: { type: "text", text: "hi" } },
        {
          role: "",
          content: { type: "unknown", raw: { type: "resource_link", uri: "a:1", name: "a" } },
        },
      ],
      meta: { x: 1 },
      raw,
    });
  });

  test.for([{}, { messages: {}, description: 5 }, { messages: ["text"] }])(
    "is read without throwing where it is malformed: %j",
    (raw) => {
      expect(toPromptResult(raw)).toEqual({ messages: [], raw });
    },
  );
});
