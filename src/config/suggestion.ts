/** Longer words are never compared: the distance costs length × length. */
const MAX_COMPARED_CHARS = 64;

/** `did you mean "x"?` for the closest of `known`, or undefined where nothing is close enough to be a slip. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const closest = closestOf(word, known);
  return closest === undefined ? undefined : `did you mean "${closest}"?`;
}

/** The known word that `word` is most likely a slip of; case, `_` and `-` count for nothing. */
export function closestOf(word: string, known: Iterable<string>): string | undefined {
  if (word.length > MAX_COMPARED_CHARS) return undefined;
  const folded = fold(word);
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(folded, fold(name));
    const allowed =
      Math.floor(Math.max(folded.length, name.length) / 4) + (name.length > 3 ? 1 : 0);
    if (distance <= allowed && (best === undefined || distance < best.distance)) {
      best = { name, distance };
    }
  }
  return best?.name;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[_-]/g, "");
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
