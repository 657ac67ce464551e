import { isUtf8 } from "node:buffer";

const PREFIX = "=?base64?";
const SUFFIX = "?=";
const PLAIN_VALUE = /^[\t\x20-\x7e]*$/;

/**
 * What a mirrored header stands for: its text, or the text that is wrapped in it as Base64. Undefined where it
 * holds what no header may, or where what is wrapped is neither Base64 nor UTF-8.
 *
 * Source: MCP 2026-07-28, Streamable HTTP, "Value Encoding".
 */
export function decodeHeaderValue(value: string): string | undefined {
  if (!PLAIN_VALUE.test(value)) return undefined;
  const isWrapped =
    value.startsWith(PREFIX) &&
    value.endsWith(SUFFIX) &&
    value.length >= PREFIX.length + SUFFIX.length;
  if (!isWrapped) return value;
  const encoded = value.slice(PREFIX.length, -SUFFIX.length);
  const bytes = Buffer.from(encoded, "base64");
  // Node skips what is no Base64; encoding once more shows whether anything was skipped.
  if (bytes.toString("base64") !== encoded || !isUtf8(bytes)) return undefined;
  return bytes.toString();
}
