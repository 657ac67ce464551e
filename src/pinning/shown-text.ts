/**
 * What nobody sees and programs read all the same, or what turns the direction of writing: control and format
 * characters, private ones, halves of a broken pair, line separators, and those in which text can be hidden.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/gu;
const UNSEEN_BUT_BREAKS = new RegExp(`(?![\\n\\t])${UNSEEN.source}`, "gu");

const FIRST_HALF = /[\ud800-\udbff]$/;

/**
 * The text on one line and no longer than so many UTF-16 units, with an escape such as `\u202e` or `\n` for each
 * character that would not be seen.
 */
export function shownText(text: string, maxLength = Number.POSITIVE_INFINITY): string {
  if (text.length <= maxLength) return text.replaceAll(UNSEEN, escaped);
  const cut = text.slice(0, maxLength).replace(FIRST_HALF, "");
  return `${cut.replaceAll(UNSEEN, escaped)}…`;
}

/** JSON that means the same, in which every character can be seen: what is escaped stands inside of strings only. */
export function seenJson(json: string): string {
  return json.replaceAll(UNSEEN_BUT_BREAKS, unicodeEscaped);
}

const SHORT: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

function escaped(character: string): string {
  return SHORT.get(character) ?? unicodeEscaped(character);
}

function unicodeEscaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_none, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
}
