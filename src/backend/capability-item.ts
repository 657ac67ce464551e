import { isJsonObject } from "../domain/json.ts";
import { scanMembers, type ValueSpan } from "../mcp/json-spans.ts";
import type { BackendLimits } from "./options.ts";

const MAX_URI_CHARS = 8_192;

/**
 * Why an item of a list cannot be offered to anybody, or undefined for a good one.
 *
 * Looks at what the gateway itself relies on and at sizes, and leaves everything else to those who use it.
 */
export function faultOfItem(
  bytes: Buffer,
  span: ValueSpan,
  value: unknown,
  shape: { readonly keyMember: string },
  limits: BackendLimits,
): string | undefined {
  if (!isJsonObject(value)) return "it is no object";
  const { keyMember } = shape;
  const key = value[keyMember];
  if (typeof key !== "string" || key === "") return `it has no ${keyMember}`;
  const maxChars = keyMember === "name" ? limits.nameLength : MAX_URI_CHARS;
  if (key.length > maxChars) return `its ${keyMember} is longer than ${maxChars} characters`;
  const smallestLimit = Math.min(limits.descriptionBytes, limits.schemaBytes);
  if (span.valueEnd - span.valueStart <= smallestLimit) return undefined;
  return faultOfSize(bytes, span, limits);
}

function faultOfSize(bytes: Buffer, span: ValueSpan, limits: BackendLimits): string | undefined {
  const maxBytes: ReadonlyMap<string, number> = new Map([
    ["description", limits.descriptionBytes],
    ["inputSchema", limits.schemaBytes],
    ["outputSchema", limits.schemaBytes],
  ]);
  for (const { key, valueStart, valueEnd } of scanMembers(bytes, span.valueStart)) {
    const max = maxBytes.get(key);
    if (max !== undefined && valueEnd - valueStart > max) return `its ${key} is over ${max} bytes`;
  }
  return undefined;
}
