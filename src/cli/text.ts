/** What may move the cursor, change colours or turn the direction of writing: nobody's text may bring its own. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** The same, but line breaks and tabs stay. */
const UNSAFE_IN_LINES = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Characters that terminals draw two cells wide. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const ZERO_WIDTH = /\p{Mn}|\p{Me}/u;
const HANGING_INDENT = "  ";
const ELLIPSIS = "…";

/** A text of a stranger as one harmless line: white space collapsed, control characters gone. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(UNSAFE, "").trim();
}

/** A text of a stranger with its lines, but without characters that command the terminal. */
export function harmless(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(UNSAFE_IN_LINES, "");
}

/** The cells that a line takes in a terminal. Expects no control characters. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** Cuts a line to at most `columns` cells; where something is missing it ends in `…`. */
export function clip(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let width = 0;
  let kept = "";
  for (const character of text) {
    width += cellsOf(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept.trimEnd()}${ELLIPSIS}`;
}

/** Breaks a line between words so that none is wider than `columns`, unless a single word is. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && widthOf(longer) > columns) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** As `wrap`, every line after the first moved in, so that one can tell where the next paragraph begins. */
export function paragraph(text: string, columns: number): readonly string[] {
  const lines = wrap(text, columns - HANGING_INDENT.length);
  return lines.map((line, index) => (index === 0 ? line : `${HANGING_INDENT}${line}`));
}

/** `1 tool`, `3 tools`. */
export function count(amount: number, noun: string): string {
  return `${String(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

function cellsOf(character: string): number {
  if (ZERO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
