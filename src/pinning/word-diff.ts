import { shownText } from "./shown-text.ts";

/** Words that stand around a change where the text goes on unchanged. */
const CONTEXT_WORDS = 5;

/** More words than this on both sides are compared as a whole: the time to compare grows with their product. */
const MAX_COMPARISONS = 1_000_000;

/** Longest text that is compared whole, in UTF-16 units; of a longer one this much, from where it changes. */
const MAX_LENGTH = 100_000;
const LEAD_LENGTH = 100;

/** Longest removed or added part that is shown, in characters. */
const MAX_SHOWN = 400;

/** What became of a run of words. */
interface Run {
  readonly fate: "kept" | "removed" | "added";
  readonly words: readonly string[];
}

/**
 * Shows what changed between two texts, word by word: `[-gone-]` and `{+new+}` with a few words around them, on one
 * line in which every character can be seen.
 */
export function wordDiff(before: string, after: string): string {
  const start = beginningOfChange(before, after);
  const end = start + MAX_LENGTH;
  const runs = diffWords(splitWords(before.slice(start, end)), splitWords(after.slice(start, end)));
  return runs
    .map((run, index) => shownRun(run, index === 0, index === runs.length - 1))
    .filter((text) => text !== "")
    .join(" ");
}

/** Where to begin: with texts that are too long to be compared whole, a little before they differ. */
function beginningOfChange(before: string, after: string): number {
  if (before.length <= MAX_LENGTH && after.length <= MAX_LENGTH) return 0;
  let at = 0;
  while (at < before.length && before[at] === after[at]) at += 1;
  return Math.max(0, at - LEAD_LENGTH);
}

/** White space counts as long as it is not a single blank: text can be pushed out of sight with it. */
function splitWords(text: string): readonly string[] {
  return text === "" ? [] : text.split(/(?<=\S) (?=\S)/);
}

function diffWords(before: readonly string[], after: readonly string[]): readonly Run[] {
  const lead = commonLength(before, after);
  const tail = commonLength(before.slice(lead).toReversed(), after.slice(lead).toReversed());
  const removed = before.slice(lead, before.length - tail);
  const added = after.slice(lead, after.length - tail);
  const middle =
    removed.length * added.length > MAX_COMPARISONS
      ? replaced(removed, added)
      : compareWords(removed, added);
  return joined([
    { fate: "kept", words: before.slice(0, lead) },
    ...middle,
    { fate: "kept", words: before.slice(before.length - tail) },
  ]);
}

function commonLength(left: readonly string[], right: readonly string[]): number {
  const end = left.findIndex((word, index) => word !== right[index]);
  return end === -1 ? left.length : end;
}

function replaced(removed: readonly string[], added: readonly string[]): readonly Run[] {
  return [
    { fate: "removed", words: removed },
    { fate: "added", words: added },
  ];
}

/** Longest common subsequence, by the table of its lengths. */
function compareWords(before: readonly string[], after: readonly string[]): readonly Run[] {
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        before[i] === after[j]
          ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0);
    }
  }
  const runs: Run[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old = "", word = ""] = [before[i], after[j]];
    if (i < before.length && j < after.length && old === word) {
      runs.push({ fate: "kept", words: [old] });
      i += 1;
      j += 1;
    } else if (
      j >= after.length ||
      (i < before.length &&
        (lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0))
    ) {
      runs.push({ fate: "removed", words: [old] });
      i += 1;
    } else {
      runs.push({ fate: "added", words: [word] });
      j += 1;
    }
  }
  return runs;
}

/** Neighbours of one fate as one run, and of a change all that is gone before all that is new. */
function joined(runs: readonly Run[]): readonly Run[] {
  const result: Run[] = [];
  let [removed, added]: [string[], string[]] = [[], []];
  const flush = (): void => {
    result.push(...replaced(removed, added).filter(({ words }) => words.length > 0));
    [removed, added] = [[], []];
  };
  for (const { fate, words } of runs.filter((run) => run.words.length > 0)) {
    if (fate === "removed") removed.push(...words);
    else if (fate === "added") added.push(...words);
    else {
      const last = result.at(-1);
      if (last?.fate === "kept" && removed.length === 0 && added.length === 0) {
        result[result.length - 1] = { fate, words: [...last.words, ...words] };
      } else {
        flush();
        result.push({ fate, words });
      }
    }
  }
  flush();
  return result;
}

function shownRun({ fate, words }: Run, isFirst: boolean, isLast: boolean): string {
  if (fate === "removed") return `[-${clipped(words.join(" "))}-]`;
  if (fate === "added") return `{+${clipped(words.join(" "))}+}`;
  const before = isFirst ? [] : words.slice(0, CONTEXT_WORDS);
  const after = isLast ? [] : words.slice(Math.max(before.length, words.length - CONTEXT_WORDS));
  const isCut = before.length + after.length < words.length;
  const parts = [before.join(" "), isCut ? "…" : "", after.join(" ")];
  return parts
    .filter((part) => part !== "")
    .map(clipped)
    .join(" ");
}

function clipped(text: string): string {
  return shownText(text, MAX_SHOWN);
}
