import { isJsonObject } from "../domain/json.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { Logger } from "../domain/logger.ts";
import { toContentBlock, toContentBlocks, toMcpContents, toResourcePart } from "./content.ts";
import type { ContentBlock, ResourcePart } from "./content.ts";
import { metaOf } from "./meta.ts";

/** The answer to `tools/call`. `isError` is a tool's own verdict and data, never a failure to get a result. */
export interface ToolCallResult {
  readonly content: readonly ContentBlock[];
  readonly structuredContent?: JsonValue;
  readonly isError: boolean;
  /** The result's `_meta`; absent where the backend sent none. */
  readonly meta?: JsonObject;
  /** The whole result as the backend sent it, fields unknown to us included. */
  readonly raw: JsonObject;
}

/** The answer to `resources/read`: its parts in the backend's order. */
export interface ReadResult {
  readonly contents: readonly ResourcePart[];
  readonly meta?: JsonObject;
  readonly raw: JsonObject;
}

export interface PromptMessage {
  /** Empty where the backend named none. */
  readonly role: string;
  readonly content: ContentBlock;
}

/** The answer to `prompts/get`. */
export interface PromptResult {
  readonly description?: string;
  readonly messages: readonly PromptMessage[];
  readonly meta?: JsonObject;
  readonly raw: JsonObject;
}

/** Reads the result of `tools/call`. Total: what is malformed is absent here and still there in `raw`. */
export function toToolCallResult(raw: JsonObject): ToolCallResult {
  const structuredContent = raw["structuredContent"];
  return {
    content: toContentBlocks(raw["content"]),
    // Never made up from the content: a tool without an output schema has none.
    ...(structuredContent !== undefined && { structuredContent }),
    isError: raw["isError"] === true,
    ...metaField(raw),
    raw,
  };
}

/** Reads the result of `resources/read`. Total, as above. */
export function toReadResult(raw: JsonObject): ReadResult {
  const contents = raw["contents"];
  const parts: readonly unknown[] = Array.isArray(contents) ? contents : [];
  return { contents: parts.filter(isJsonObject).map(toResourcePart), ...metaField(raw), raw };
}

/** Reads the result of `prompts/get`. Total, as above. */
export function toPromptResult(raw: JsonObject): PromptResult {
  const { description, messages } = raw;
  const list: readonly unknown[] = Array.isArray(messages) ? messages : [];
  return {
    ...(typeof description === "string" && { description }),
    messages: list.filter(isJsonObject).map(toPromptMessage),
    ...metaField(raw),
    raw,
  };
}

/**
 * Writes the result of `tools/call`. What the domain names is written from there, so that a changed result
 * is what the client sees; every other field comes from `raw`.
 */
export function toMcpToolResult(
  result: ToolCallResult,
  logger: Logger = SILENT_LOGGER,
): JsonObject {
  const { content, structuredContent, isError, meta, raw } = result;
  return {
    ...raw,
    content: toMcpContents(content, logger),
    ...(structuredContent !== undefined && { structuredContent }),
    isError,
    ...(meta && { _meta: meta }),
  };
}

function toPromptMessage(message: JsonObject): PromptMessage {
  const role = message["role"];
  return {
    role: typeof role === "string" ? role : "",
    content: toContentBlock(message["content"]),
  };
}

function metaField(raw: JsonObject): { readonly meta?: JsonObject } {
  const meta = metaOf(raw);
  return meta === undefined ? {} : { meta };
}
