/** One word or a fault; whatever a shell would also expand (`$`, `*`, `~`) stays as it is. */
const PART =
  /\\(?<escaped>.)|'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\.)*)"|(?<plain>[^\s\\'"]+)/gsy;
const SPACE = /\s+/gy;

/**
 * Splits a command line into words the way a POSIX shell reads quotes and backslashes, and does nothing else
 * that a shell does. Undefined where a quote is not closed.
 */
export function splitWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < line.length) {
    SPACE.lastIndex = at;
    if (SPACE.test(line)) {
      at = SPACE.lastIndex;
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    PART.lastIndex = at;
    const groups = PART.exec(line)?.groups;
    if (groups === undefined) return undefined;
    at = PART.lastIndex;
    word = (word ?? "") + textOfPart(groups);
  }
  return word === undefined ? words : [...words, word];
}

function textOfPart(groups: Readonly<Record<string, string | undefined>>): string {
  const { escaped, single, double, plain } = groups;
  return escaped ?? single ?? plain ?? (double ?? "").replaceAll(/\\(["\\$`])/g, "$1");
}
