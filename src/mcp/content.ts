import { isJsonObject } from "../domain/json.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { Logger } from "../domain/logger.ts";

/** What any block may carry beside its content; all of it survives the way there and back. */
interface BlockExtras {
  readonly annotations?: JsonObject;
  /** The block's `_meta`. */
  readonly meta?: JsonObject;
  /** Fields that this model does not name, as received. */
  readonly extra?: JsonObject;
}

interface TextBlock extends BlockExtras {
  readonly type: "text";
  readonly text: string;
}

/** An image or a sound; `data` is base64 as received. */
interface MediaBlock extends BlockExtras {
  readonly type: "image" | "audio";
  readonly data: string;
  readonly mimeType: string;
}

/** The contents of a resource: `text` for text, `data` (base64) for anything else, neither for an empty one. */
export interface ResourcePart {
  readonly uri: string;
  readonly mimeType?: string;
  readonly text?: string;
  readonly data?: string;
  /** Fields that this model does not name, among them the contents' own `_meta`. */
  readonly resourceExtra?: JsonObject;
}

interface ResourceBlock extends BlockExtras, ResourcePart {
  readonly type: "resource";
}

/** A block that is none of the others, `resource_link` among them; kept whole in `raw`. */
interface UnknownBlock {
  readonly type: "unknown";
  readonly raw?: JsonObject;
}

/** One piece of a tool's or prompt's answer, as the gateway's own parts see it. */
export type ContentBlock = TextBlock | MediaBlock | ResourceBlock | UnknownBlock;

/**
 * Reads one block of an answer. Total: a block without the fields that its type promises is `unknown` and
 * keeps everything, so that writing it gives the same block again. What is no object keeps nothing.
 */
export function toContentBlock(value: unknown): ContentBlock {
  if (!isJsonObject(value)) return { type: "unknown" };
  return (
    readText(value) ?? readMedia(value) ?? readResource(value) ?? { type: "unknown", raw: value }
  );
}

/** Reads a list of blocks in their order; anything but a list is an empty one. */
export function toContentBlocks(value: unknown): readonly ContentBlock[] {
  return Array.isArray(value) ? value.map(toContentBlock) : [];
}

/** Reads the contents of a resource, embedded in a block or listed in the answer to `resources/read`. */
export function toResourcePart(contents: JsonObject): ResourcePart {
  const { uri, mimeType, text, blob } = contents;
  const isText = typeof text === "string";
  const named = {
    ...(typeof uri === "string" && { uri }),
    ...(typeof mimeType === "string" && { mimeType }),
    ...(isText && { text }),
  };
  const data = typeof blob === "string" && !isText ? { data: blob } : undefined;
  const resourceExtra = without(contents, [...Object.keys(named), ...(data ? ["blob"] : [])]);
  return { uri: "", ...named, ...data, ...(resourceExtra && { resourceExtra }) };
}

/**
 * Writes one block as the protocol has it. Of a resource with text and data the text is written, of one with
 * neither empty text. An unknown block without `raw` becomes empty text too. Both are logged.
 */
export function toMcpContent(block: ContentBlock, logger: Logger = SILENT_LOGGER): JsonObject {
  switch (block.type) {
    case "text":
      return withExtras(block, { type: "text", text: block.text });
    case "image":
    case "audio":
      return withExtras(block, { type: block.type, data: block.data, mimeType: block.mimeType });
    case "resource":
      return withExtras(block, { type: "resource", resource: writeResource(block, logger) });
    case "unknown":
      if (block.raw !== undefined) return block.raw;
      logger.warn("a content block of unknown type became empty text");
      return { type: "text", text: "" };
    default:
      return block satisfies never;
  }
}

/** Writes a list of blocks in their order; undefined is an empty one. */
export function toMcpContents(
  blocks: readonly ContentBlock[] | undefined,
  logger: Logger = SILENT_LOGGER,
): readonly JsonObject[] {
  return (blocks ?? []).map((block) => toMcpContent(block, logger));
}

function readText(block: JsonObject): TextBlock | undefined {
  const { type, text } = block;
  if (type !== "text" || typeof text !== "string") return undefined;
  return { type, text, ...extrasOf(block, ["text"]) };
}

function readMedia(block: JsonObject): MediaBlock | undefined {
  const { type, data, mimeType } = block;
  if (type !== "image" && type !== "audio") return undefined;
  if (typeof data !== "string" || typeof mimeType !== "string") return undefined;
  return { type, data, mimeType, ...extrasOf(block, ["data", "mimeType"]) };
}

function readResource(block: JsonObject): ResourceBlock | undefined {
  const { type, resource } = block;
  if (type !== "resource" || !isJsonObject(resource)) return undefined;
  if (typeof resource["uri"] !== "string") return undefined;
  return { type, ...toResourcePart(resource), ...extrasOf(block, ["resource"]) };
}

function extrasOf(block: JsonObject, known: readonly string[]): BlockExtras {
  const annotations = block["annotations"];
  const meta = block["_meta"];
  const named = [
    ...(isJsonObject(annotations) ? ["annotations"] : []),
    ...(isJsonObject(meta) ? ["_meta"] : []),
  ];
  const extra = without(block, ["type", ...known, ...named]);
  return {
    ...(isJsonObject(annotations) && { annotations }),
    ...(isJsonObject(meta) && { meta }),
    ...(extra && { extra }),
  };
}

function withExtras({ extra, annotations, meta }: BlockExtras, content: JsonObject): JsonObject {
  return {
    ...extra,
    ...content,
    ...(annotations && { annotations }),
    ...(meta && { _meta: meta }),
  };
}

function writeResource(part: ResourcePart, logger: Logger): JsonObject {
  const { uri, mimeType, text, data, resourceExtra } = part;
  if (text === undefined && data === undefined) {
    logger.warn("a resource without contents became empty text");
  }
  return {
    ...resourceExtra,
    uri,
    ...(mimeType !== undefined && { mimeType }),
    ...(text === undefined && data !== undefined ? { blob: data } : { text: text ?? "" }),
  };
}

/** The object without these fields, or undefined where nothing is left. */
function without(object: JsonObject, keys: readonly string[]): JsonObject | undefined {
  const rest = Object.entries(object).filter(([key]) => !keys.includes(key));
  return rest.length === 0 ? undefined : Object.fromEntries<JsonValue>(rest);
}
