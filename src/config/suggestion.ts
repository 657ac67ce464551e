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
      Math.floor(Math.max(folded.length, name.length) / 4) + (name.length > 2 ? 1 : 0);
    if (distance <= allowed && (best === undefined || distance < best.distance)) {
      best = { name, distance };
    }
  }
  return best?.name;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[_-]/g, "");
}

/** How many letters have to be put in, left out, replaced or swapped with their neighbour. */
function editDistance(left: string, right: string): number {
  let beforeLast: readonly number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = (last[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      const isSwap = left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      const swap = isSwap ? (beforeLast[j - 2] ?? 0) + 1 : Infinity;
      row.push(Math.min(substitution, swap, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    beforeLast = last;
    last = row;
  }
  return last.at(-1) ?? 0;
}
