const WILDCARD = /[*?]/;

/** Whether the pattern can match more than the text that equals it. */
export function isGlob(pattern: string): boolean {
  return WILDCARD.test(pattern);
}

/**
 * Whether the whole text fits the pattern: `*` is any text, `?` one character, all else itself.
 *
 * Takes at most pattern length times text length steps: only the latest `*` is ever tried again, because
 * whatever an earlier one could give up, the latest can take.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern);
  const given = Array.from(text);
  let at = 0;
  let star = -1;
  let resumeAt = 0;
  let read = 0;
  while (read < given.length) {
    if (wanted[at] === "*") {
      star = at;
      at += 1;
      resumeAt = read;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === given[read])) {
      at += 1;
      read += 1;
    } else if (star === -1) {
      return false;
    } else {
      resumeAt += 1;
      read = resumeAt;
      at = star + 1;
    }
  }
  return wanted.slice(at).every((rest) => rest === "*");
}
