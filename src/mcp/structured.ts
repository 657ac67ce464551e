import { isJsonObject } from "../domain/json.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { Logger } from "../domain/logger.ts";
import type { ContentBlock, ResourcePart } from "./content.ts";
import type { PromptMessage } from "./results.ts";

/** Every part of a resource as one piece. */
export interface JoinedResource {
  readonly bytes: Buffer;
  /** That of the first part; empty where it has none. */
  readonly mimeType: string;
}

/**
 * Joins the parts of a resource in their order: text as UTF-8, data decoded. A part whose base64 is malformed
 * is left out, and logged.
 */
export function joinResourceParts(
  parts: readonly ResourcePart[],
  logger: Logger = SILENT_LOGGER,
): JoinedResource {
  const pieces = parts.map((part) => {
    if (part.text !== undefined) return Buffer.from(part.text);
    const bytes = decodeBase64(part.data ?? "");
    if (bytes === undefined) logger.warn("a resource part with malformed base64 was left out");
    return bytes ?? Buffer.alloc(0);
  });
  return { bytes: Buffer.concat(pieces), mimeType: parts[0]?.mimeType ?? "" };
}

/**
 * The texts and images of an answer by name, for templates: `text`, `text_1`, `text_2` …, `image_0`,
 * `image_1` …. Sounds, resources and unknown blocks have no place in it.
 */
export function contentToFields(blocks: readonly ContentBlock[]): ReadonlyMap<string, string> {
  const texts = blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  const images = blocks.flatMap((block) => (block.type === "image" ? [block.data] : []));
  return new Map([
    ...texts.map((text, n) => [n === 0 ? "text" : `text_${n}`, text] as const),
    ...images.map((data, n) => [`image_${n}`, data] as const),
  ]);
}

/** The arguments of a prompt as the protocol wants them: text stays, anything else becomes its JSON text. */
export function toPromptArguments(args: JsonObject | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(args ?? {}).map(
    ([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const,
  );
  return Object.fromEntries(entries);
}

/** The texts of a prompt as lines, `[role] text`, or only the text where there is no role. Other parts are left out. */
export function flattenPrompt(messages: readonly PromptMessage[]): string {
  return messages.map(({ role, content }) => promptLine(role, content)).join("");
}

/**
 * A tool's input schema, whole, with `$defs` and all. A tool without one takes any object, which the protocol
 * writes as `{"type":"object"}`.
 */
export function toInputSchema(value: unknown): JsonObject {
  return isJsonObject(value) ? value : { type: "object" };
}

function promptLine(role: string, content: ContentBlock): string {
  if (content.type !== "text") return "";
  return role === "" ? `${content.text}\n` : `[${role}] ${content.text}\n`;
}

/** Undefined if malformed. Line breaks are allowed, as MIME has them. */
function decodeBase64(text: string): Buffer | undefined {
  const compact = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, "") : text;
  const bytes = Buffer.from(compact, "base64");
  // The decoder skips what it does not know, so malformed text yields fewer bytes than its length promises.
  const paddingLength = /={0,2}$/.exec(compact)?.[0].length ?? 0;
  const isWellFormed =
    compact.length % 4 === 0 && bytes.length === (compact.length / 4) * 3 - paddingLength;
  return isWellFormed ? bytes : undefined;
}
