import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import {
  toContentBlock,
  toContentBlocks,
  toMcpContent,
  toMcpContents,
  toResourcePart,
} from "./content.ts";
import type { ContentBlock } from "./content.ts";

describe("from the domain to the protocol", () => {
  const WRITTEN: readonly [string, ContentBlock, JsonObject][] = [
    ["text", { type: "text", text: "hi" }, { type: "text", text: "hi" }],
    ["empty text", { type: "text", text: "" }, { type: "text", text: "" }],
    [
      "an image",
      { type: "image", data: "aGk=", mimeType: "image/png" },
      { type: "image", data: "aGk=", mimeType: "image/png" },
    ],
    [
      "a sound",
      { type: "audio", data: "aGk=", mimeType: "audio/wav" },
      { type: "audio", data: "aGk=", mimeType: "audio/wav" },
    ],
    [
      "a text resource",
      { type: "resource", uri: "file:///a", mimeType: "text/plain", text: "hi" },
      { type: "resource", resource: { uri: "file:///a", mimeType: "text/plain", text: "hi" } },
    ],
    [
      "a binary resource",
      { type: "resource", uri: "file:///a", mimeType: "image/png", data: "aGk=" },
      { type: "resource", resource: { uri: "file:///a", mimeType: "image/png", blob: "aGk=" } },
    ],
    [
      "an empty resource, which stays a resource",
      { type: "resource", uri: "file:///a", mimeType: "text/plain" },
      { type: "resource", resource: { uri: "file:///a", mimeType: "text/plain", text: "" } },
    ],
    ["an unknown block of which nothing is known", { type: "unknown" }, { type: "text", text: "" }],
  ];

  test.for(WRITTEN)("%s [seed 47]", ([, block, expected]) => {
    expect(toMcpContent(block)).toEqual(expected);
  });

  test("of a resource with text and data the text is written [seed 48]", () => {
    const block = { type: "resource", uri: "file:///a", text: "hi", data: "aGk=" } as const;

    expect(toMcpContent(block)).toEqual({
      type: "resource",
      resource: { uri: "file:///a", text: "hi" },
    });
  });

  test.for([
    { uri: "", mimeType: "", text: "hi" },
    { uri: "", text: "hi" },
    { uri: "file:///a", mimeType: "", blob: "aGk=" },
  ])("an empty uri or mime type is kept, an absent one stays absent: %j [seed 49]", (resource) => {
    const block = { type: "resource", resource };

    expect(toMcpContent(toContentBlock(block))).toEqual(block);
  });

  test("what is written as empty text for want of better is logged", () => {
    const warnings: string[] = [];
    const logger = { ...SILENT_LOGGER, warn: (message: string) => void warnings.push(message) };

    toMcpContents([{ type: "unknown" }, { type: "resource", uri: "file:///a" }], logger);

    expect(warnings).toHaveLength(2);
  });
});

describe("from the protocol to the domain", () => {
  const READ: readonly [string, JsonObject, ContentBlock][] = [
    ["text", { type: "text", text: "hi" }, { type: "text", text: "hi" }],
    [
      "an image",
      { type: "image", data: "aGk=", mimeType: "image/png" },
      { type: "image", data: "aGk=", mimeType: "image/png" },
    ],
    [
      "a sound",
      { type: "audio", data: "aGk=", mimeType: "audio/wav" },
      { type: "audio", data: "aGk=", mimeType: "audio/wav" },
    ],
    [
      "an embedded text",
      { type: "resource", resource: { uri: "file:///a", mimeType: "text/plain", text: "hi" } },
      { type: "resource", uri: "file:///a", mimeType: "text/plain", text: "hi" },
    ],
    [
      "an embedded blob",
      { type: "resource", resource: { uri: "file:///a", mimeType: "image/png", blob: "aGk=" } },
      { type: "resource", uri: "file:///a", mimeType: "image/png", data: "aGk=" },
    ],
    [
      "an embedded resource with an empty uri and mime type",
      { type: "resource", resource: { uri: "", mimeType: "", text: "hi" } },
      { type: "resource", uri: "", mimeType: "", text: "hi" },
    ],
    [
      "an embedded resource with neither text nor blob",
      { type: "resource", resource: { uri: "file:///a" } },
      { type: "resource", uri: "file:///a" },
    ],
    [
      "a resource link",
      { type: "resource_link", uri: "file:///a", name: "a" },
      { type: "unknown", raw: { type: "resource_link", uri: "file:///a", name: "a" } },
    ],
    [
      "a block without the field that its type promises",
      { type: "text", txet: "hi" },
      { type: "unknown", raw: { type: "text", txet: "hi" } },
    ],
  ];

  test.for(READ)("%s [seed 51]", ([, block, expected]) => {
    expect(toContentBlock(block)).toEqual(expected);
  });

  test.for([undefined, null, "text", 5, []])("%j is a block of which nothing is known", (value) => {
    expect(toContentBlock(value)).toEqual({ type: "unknown" });
  });

  test("a resource whose uri is malformed keeps it among what is not named", () => {
    expect(toResourcePart({ uri: 5, text: "hi" })).toEqual({
      uri: "",
      text: "hi",
      resourceExtra: { uri: 5 },
    });
  });
});

describe("lists", () => {
  const MIXED: readonly JsonObject[] = [
    { type: "text", text: "one" },
    { type: "image", data: "aGk=", mimeType: "image/png" },
    { type: "resource_link", uri: "file:///a", name: "a" },
    { type: "text", text: "two" },
  ];

  test("nothing and an empty list are an empty list [seed 52]", () => {
    expect(toMcpContents(undefined)).toEqual([]);
    expect(toMcpContents([])).toEqual([]);
    expect(toContentBlocks(undefined)).toEqual([]);
    expect(toContentBlocks(null)).toEqual([]);
    expect(toContentBlocks([])).toEqual([]);
  });

  test("mixed blocks keep their order [seed 52]", () => {
    const blocks = toContentBlocks(MIXED);

    expect(blocks.map(({ type }) => type)).toEqual(["text", "image", "unknown", "text"]);
    expect(toMcpContents(blocks)).toEqual(MIXED);
  });
});

describe("there and back", () => {
  test.for([
    { type: "resource", resource: { uri: "file:///a", mimeType: "text/plain", text: "hi" } },
    { type: "resource", resource: { uri: "file:///a", mimeType: "image/png", blob: "aGk=" } },
  ])("$resource is the same again [seed 50]", (block) => {
    expect(toMcpContent(toContentBlock(block))).toEqual(block);
  });

  test("annotations, meta and fields that nobody knows survive on every kind of block", () => {
    const extras = {
      annotations: { audience: ["user"], priority: 0.5 },
      _meta: { "example.com/x": 1 },
      vendor: { deep: [1, { y: null }] },
    };
    const blocks: readonly JsonObject[] = [
      { type: "text", text: "hi", ...extras },
      { type: "image", data: "aGk=", mimeType: "image/png", ...extras },
      { type: "audio", data: "aGk=", mimeType: "audio/wav", ...extras },
      { type: "resource", resource: { uri: "a:b", text: "hi", _meta: { m: 1 }, z: 2 }, ...extras },
      { type: "resource_link", uri: "file:///a", name: "a", ...extras },
      { type: "hologram", data: "…", ...extras },
    ];

    expect(toMcpContents(toContentBlocks(blocks))).toEqual(blocks);
  });

  test("any block comes back as it was, whatever its fields hold", () => {
    const field = fc.constantFrom("text", "data", "mimeType", "resource", "annotations", "_meta");
    const values = fc.oneof(fc.string(), fc.jsonValue());
    const complete = fc.record({ uri: fc.string(), text: fc.string(), x: fc.jsonValue() });
    const blocks = fc
      .tuple(
        fc.constantFrom("text", "image", "audio", "resource", "resource_link", "other"),
        fc.dictionary(fc.oneof(field, fc.string()), fc.oneof(values, complete)),
      )
      // A resource without contents is written as empty text, which is not what came.
      .filter(([type, fields]) => type !== "resource" || !isEmptyResource(fields["resource"]))
      .map(([type, fields]) => JSON.stringify({ ...fields, type }));

    fc.assert(
      fc.property(blocks, (json) => {
        const block: unknown = JSON.parse(json);
        expect(toMcpContent(toContentBlock(block))).toEqual(block);
      }),
      { numRuns: 500 },
    );
  });
});

function isEmptyResource(resource: unknown): boolean {
  if (typeof resource !== "object" || resource === null) return false;
  const { text, blob }: Record<string, unknown> = { ...resource };
  return typeof text !== "string" && typeof blob !== "string";
}
