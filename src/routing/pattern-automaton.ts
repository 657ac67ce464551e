/** One place in a pattern: takes one character, or one and more where it repeats. */
export interface PatternItem {
  /** Called with a code of `Pattern.symbols`, or with -1 for all other characters. */
  readonly accepts: (code: number) => boolean;
  readonly repeats: boolean;
}

/** A chain of items that a text must pass through from end to end. */
export interface Pattern {
  readonly items: readonly PatternItem[];
  /** Stretches that may be left out, `from` the first item to before the item `to`, in rising order. */
  readonly optionals: readonly { readonly from: number; readonly to: number }[];
  /** The UTF-16 codes that some item treats unlike other characters. */
  readonly symbols: ReadonlySet<number>;
}

const OTHER_SYMBOL = -1;

/**
 * Makes a test of whether a text, read from `start`, fits a pattern.
 *
 * It follows all ways through the pattern at once, as bits of a few words (the shift-and method), and never goes
 * back: each character costs pattern length / 32 steps and one for each optional, whatever the texts contain.
 */
export function createAutomaton(pattern: Pattern): (text: string, start: number) => boolean {
  const { items, optionals, symbols } = pattern;
  const wordCount = Math.ceil((items.length + 1) / BITS_PER_WORD);
  const masksBySymbol = new Map<number, SymbolMasks>();
  const masksOf = (code: number): SymbolMasks => {
    const symbol = symbols.has(code) ? code : OTHER_SYMBOL;
    const known = masksBySymbol.get(symbol);
    if (known !== undefined) return known;
    const masks = createMasks(items, symbol, wordCount);
    masksBySymbol.set(symbol, masks);
    return masks;
  };

  return (text, start) => {
    const position = { reached: new Uint32Array(wordCount), taken: new Uint32Array(wordCount) };
    setBit(position.reached, 0);
    skipOptionals(position.reached, optionals);
    for (let index = start; index < text.length; index += 1) {
      if (!advance(position, masksOf(text.charCodeAt(index)))) return false;
      skipOptionals(position.reached, optionals);
    }
    return hasBit(position.reached, items.length);
  };
}

const BITS_PER_WORD = 32;

/**
 * The ways followed so far. Bit i of `reached`: the text so far leads to just before item i. Bit i of `taken`:
 * its last character was taken by item i - 1, so that this item may repeat; behind a skipped one it may not.
 */
interface Position {
  readonly reached: Uint32Array;
  readonly taken: Uint32Array;
}

/** What one symbol does: `forward` has the items that take it, `stay` the places behind repeating ones. */
interface SymbolMasks {
  readonly forward: Uint32Array;
  readonly stay: Uint32Array;
}

function createMasks(
  items: readonly PatternItem[],
  symbol: number,
  wordCount: number,
): SymbolMasks {
  const forward = new Uint32Array(wordCount);
  const stay = new Uint32Array(wordCount);
  for (const [index, { accepts, repeats }] of items.entries()) {
    if (!accepts(symbol)) continue;
    setBit(forward, index);
    if (repeats) setBit(stay, index + 1);
  }
  return { forward, stay };
}

/** Takes one symbol. False when no way through the pattern is left. */
function advance({ reached, taken }: Position, { forward, stay }: SymbolMasks): boolean {
  let carry = 0;
  let alive = 0;
  for (let word = 0; word < reached.length; word += 1) {
    const moving = (reached[word] ?? 0) & (forward[word] ?? 0);
    const after = (moving << 1) | carry | ((taken[word] ?? 0) & (stay[word] ?? 0));
    carry = moving >>> (BITS_PER_WORD - 1);
    reached[word] = after;
    taken[word] = after;
    alive |= after;
  }
  return alive !== 0;
}

function skipOptionals(reached: Uint32Array, optionals: Pattern["optionals"]): void {
  for (const { from, to } of optionals) if (hasBit(reached, from)) setBit(reached, to);
}

function hasBit(words: Uint32Array, bit: number): boolean {
  return (((words[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1;
}

function setBit(words: Uint32Array, bit: number): void {
  words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31));
}
