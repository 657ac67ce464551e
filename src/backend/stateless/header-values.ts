/** Visible ASCII and spaces, none of them at the ends. */
const PLAIN_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const ENCODED_VALUE = /^=\?base64\?.*\?=$/;

/**
 * A text as the value of a header that mirrors a part of the body: as it is where that is safe, else its UTF-8 in
 * base64 between marks. Source: streamable HTTP of 2026-07-28, "Value Encoding".
 */
export function toHeaderValue(text: string): string {
  if (PLAIN_VALUE.test(text) && !ENCODED_VALUE.test(text)) return text;
  return `=?base64?${Buffer.from(text, "utf8").toString("base64")}?=`;
}
