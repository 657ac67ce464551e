import { describe, expect, test } from "vitest";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { ContentBlock, ResourcePart } from "./content.ts";
import type { PromptMessage } from "./results.ts";
import {
  contentToFields,
  flattenPrompt,
  joinResourceParts,
  toInputSchema,
  toPromptArguments,
} from "./structured.ts";

const text = (value: string): ContentBlock => ({ type: "text", text: value });
const message = (role: string, content: ContentBlock): PromptMessage => ({ role, content });
const image = (data: string): ContentBlock => ({ type: "image", data, mimeType: "image/png" });

describe("joining the parts of a resource", () => {
  const uri = "file:///a";
  const JOINED: readonly [string, readonly ResourcePart[], string, string][] = [
    ["nothing", [], "", ""],
    ["one text", [{ uri, mimeType: "text/plain", text: "hi" }], "hi", "text/plain"],
    ["one blob, decoded", [{ uri, mimeType: "a/b", data: "aGk=" }], "hi", "a/b"],
    [
      "many, with the mime type of the first",
      [
        { uri, mimeType: "text/plain", text: "a" },
        { uri, mimeType: "image/png", data: "Yg==" },
        { uri, text: "ç" },
      ],
      "abç",
      "text/plain",
    ],
    [
      "malformed base64, left out",
      [
        { uri, mimeType: "a/b", data: "!!!" },
        { uri, text: "c" },
      ],
      "c",
      "a/b",
    ],
    ["base64 of the wrong length, left out", [{ uri, data: "aGk" }], "", ""],
    ["base64 with something after its end, left out", [{ uri, data: "aGk=aGk=" }], "", ""],
    ["base64 in lines", [{ uri, data: "aG\r\nk=\n" }], "hi", ""],
    ["a part without contents", [{ uri }, { uri, text: "x" }], "x", ""],
  ];

  test.for(JOINED)("%s [seed 54]", ([, parts, joined, mimeType]) => {
    const resource = joinResourceParts(parts);

    expect(resource.bytes.toString()).toBe(joined);
    expect(resource.mimeType).toBe(mimeType);
  });

  test("a part that is left out is logged", () => {
    const warnings: string[] = [];
    const logger = { ...SILENT_LOGGER, warn: (said: string) => void warnings.push(said) };

    joinResourceParts([{ uri, data: "!!!" }, { uri }], logger);

    expect(warnings).toEqual(["a resource part with malformed base64 was left out"]);
  });
});

describe("content as fields", () => {
  const FIELDS: readonly [string, readonly ContentBlock[], Readonly<Record<string, string>>][] = [
    ["nothing", [], {}],
    ["one text", [text("a")], { text: "a" }],
    ["many texts", [text("a"), text("b"), text("c")], { text: "a", text_1: "b", text_2: "c" }],
    ["images", [image("x"), image("y")], { image_0: "x", image_1: "y" }],
    [
      "texts and images, counted apart",
      [image("x"), text("a"), image("y"), text("b")],
      { text: "a", text_1: "b", image_0: "x", image_1: "y" },
    ],
    [
      "sounds, resources and unknown blocks, which have no place",
      [
        { type: "audio", data: "x", mimeType: "audio/wav" },
        { type: "resource", uri: "a:b", text: "t" },
        { type: "unknown", raw: { type: "resource_link" } },
        text("a"),
      ],
      { text: "a" },
    ],
  ];

  test.for(FIELDS)("%s [seed 55]", ([, blocks, fields]) => {
    expect(Object.fromEntries(contentToFields(blocks))).toEqual(fields);
  });

  test("more than ten texts are counted on [seed 55]", () => {
    const blocks = Array.from({ length: 12 }, (_, n) => text(`t${n}`));

    const fields = contentToFields(blocks);

    expect(fields.size).toBe(12);
    expect(fields.get("text")).toBe("t0");
    expect(fields.get("text_11")).toBe("t11");
  });
});

test("prompt arguments are texts: texts as they are, all else as JSON [seed 56]", () => {
  expect(toPromptArguments(undefined)).toEqual({});
  expect(toPromptArguments({})).toEqual({});
  expect(
    toPromptArguments({ s: "as is", empty: "", n: 42, f: 1.5, b: true, z: null, o: { a: [1] } }),
  ).toEqual({ s: "as is", empty: "", n: "42", f: "1.5", b: "true", z: "null", o: '{"a":[1]}' });
});

describe("a prompt as lines", () => {
  const LINES: readonly [string, readonly PromptMessage[], string][] = [
    ["nothing", [], ""],
    ["a message with a role", [message("user", text("hi"))], "[user] hi\n"],
    ["a message without a role", [message("", text("hi"))], "hi\n"],
    [
      "several messages",
      [message("user", text("hi")), message("assistant", text("ho"))],
      "[user] hi\n[assistant] ho\n",
    ],
    [
      "a part that is no text",
      [message("user", image("x")), message("user", text("a"))],
      "[user] a\n",
    ],
  ];

  test.for(LINES)("%s [seed 57]", ([, messages, lines]) => {
    expect(flattenPrompt(messages)).toBe(lines);
  });
});

test("an input schema keeps everything it says [seed 58]", () => {
  const schema = {
    type: "object",
    properties: { a: { $ref: "#/$defs/A" } },
    required: ["a"],
    $defs: { A: { type: "string" } },
    additionalProperties: false,
  };

  expect(toInputSchema(schema)).toBe(schema);
});

test.for([undefined, null, "text", [1]])("%j is a schema that takes any object", (value) => {
  expect(toInputSchema(value)).toEqual({ type: "object" });
});
