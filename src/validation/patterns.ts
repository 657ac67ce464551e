import { createRequire } from "node:module";
import type * as re2js from "re2js";

const require = createRequire(import.meta.url);

/** What `\s` is in ECMAScript; RE2's own knows ASCII only. */
const SPACES = String.raw`\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`;

const TOKEN =
  /\\[pP]\{(?:Script|sc|General_Category|gc)=(?<property>\w+)\}|\\[\s\S]|\[\^?|[\]\s\S]/gu;

interface Pattern {
  test(text: string): boolean;
}

/**
 * Compiles a pattern of a schema so that it runs in time linear in the text. Throws for what has no such form:
 * look-around, back references, repeat counts over 1,000.
 */
export function compilePattern(pattern: string): Pattern {
  // Loaded with the first pattern: who checks no arguments does not wait for it at the start. It is its own type.
  const { RE2JS } = require("re2js") as typeof re2js;
  return RE2JS.compile(RE2JS.translateRegExp(toRe2(pattern)));
}

/** Writes out what RE2 reads otherwise than ECMAScript, the language of patterns in JSON Schema. */
function toRe2(pattern: string): string {
  let isInClass = false;
  return pattern.replace(TOKEN, (token: string, property: string | undefined) => {
    if (property !== undefined) return `${token.slice(0, 2)}{${property}}`;
    if (isInClass) {
      if (token === "]") isInClass = false;
      // In a class a bracket is one, and no class of POSIX begins there.
      return token.startsWith("[") ? `\\${token}` : (IN_CLASS.get(token) ?? token);
    }
    // An empty class is one of its own, which the translation that follows knows.
    if (token.startsWith("[")) isInClass = true;
    return OUTSIDE_CLASS.get(token) ?? token;
  });
}

const IN_CLASS: ReadonlyMap<string, string> = new Map([
  [String.raw`\s`, SPACES],
  [String.raw`\b`, String.raw`\x08`],
]);

const OUTSIDE_CLASS: ReadonlyMap<string, string> = new Map([
  [String.raw`\s`, `[${SPACES}]`],
  [String.raw`\S`, `[^${SPACES}]`],
  [".", String.raw`[^\n\r\x{2028}\x{2029}]`],
]);
