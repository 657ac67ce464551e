import { createAutomaton, type Pattern, type PatternItem } from "./pattern-automaton.ts";
import { type Operator, parseTemplate, type TemplatePart } from "./template-syntax.ts";

/** Templates come from backends: one that is longer than any sensible one matches nothing. */
const MAX_TEMPLATE_CHARACTERS = 1_024;
const MAX_EXPRESSIONS = 64;

/**
 * Makes a test of whether a URI can be an expansion of a template (RFC 6570).
 *
 * A variable stands for at least one character: in `{name}` none of `/?#`, in `{name*}` and `{/name*}` also `/`,
 * in `{?name}` and `{&name}` anything but `#`, in `{+name}` and `{#name}` anything. An expression with an operator
 * other than `+` may be absent. Names of query variables and prefix lengths are not checked, and nothing is
 * percent-decoded. The time is linear in the URI; a malformed template, one of more than 1,024 characters or with
 * more than 64 expressions matches nothing.
 */
export function compileTemplate(template: string): (uri: string) => boolean {
  const parts = template.length > MAX_TEMPLATE_CHARACTERS ? undefined : parseTemplate(template);
  if (parts === undefined || countExpressions(parts) > MAX_EXPRESSIONS) return () => false;
  const [first, ...rest] = parts;
  if (first?.kind !== "literal") return compileParts(parts, "");
  return compileParts(rest, first.text);
}

/** The leading text is compared as text: most templates of a table fail there and need no automaton. */
function compileParts(parts: readonly TemplatePart[], prefix: string): (uri: string) => boolean {
  let fits: ReturnType<typeof createAutomaton> | undefined;
  return (uri) => {
    if (!uri.startsWith(prefix)) return false;
    fits ??= createAutomaton(toPattern(parts));
    return fits(uri, prefix.length);
  };
}

function countExpressions(parts: readonly TemplatePart[]): number {
  return parts.filter(({ kind }) => kind === "expression").length;
}

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const HASH = 0x23;

const ENDS_SEGMENT: ReadonlySet<number> = new Set([SLASH, QUESTION_MARK, HASH]);
const ENDS_PATH: ReadonlySet<number> = new Set([QUESTION_MARK, HASH]);
const ENDS_QUERY: ReadonlySet<number> = new Set([HASH]);
const ENDS_NOTHING: ReadonlySet<number> = new Set();

interface Expansion {
  /** Stands before the variables when any is defined (RFC 6570, appendix A). */
  readonly first: string;
  /** What a value cannot contain. */
  readonly endsAt: ReadonlySet<number>;
  readonly endsAtIfSpanning: ReadonlySet<number>;
}

const EXPANSIONS = {
  "": { first: "", endsAt: ENDS_SEGMENT, endsAtIfSpanning: ENDS_PATH },
  "+": { first: "", endsAt: ENDS_NOTHING, endsAtIfSpanning: ENDS_NOTHING },
  "#": { first: "#", endsAt: ENDS_NOTHING, endsAtIfSpanning: ENDS_NOTHING },
  ".": { first: ".", endsAt: ENDS_SEGMENT, endsAtIfSpanning: ENDS_SEGMENT },
  "/": { first: "/", endsAt: ENDS_SEGMENT, endsAtIfSpanning: ENDS_PATH },
  ";": { first: ";", endsAt: ENDS_SEGMENT, endsAtIfSpanning: ENDS_SEGMENT },
  "?": { first: "?", endsAt: ENDS_QUERY, endsAtIfSpanning: ENDS_QUERY },
  "&": { first: "&", endsAt: ENDS_QUERY, endsAtIfSpanning: ENDS_QUERY },
} as const satisfies Record<Operator, Expansion>;

function toPattern(parts: readonly TemplatePart[]): Pattern {
  const items: PatternItem[] = [];
  const optionals: { from: number; to: number }[] = [];
  const symbols = new Set(ENDS_SEGMENT);
  const addText = (text: string): void => {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      symbols.add(code);
      items.push({ accepts: (given) => given === code, repeats: false });
    }
  };
  for (const part of parts) {
    if (part.kind === "literal") {
      addText(part.text);
      continue;
    }
    const { first, endsAt, endsAtIfSpanning } = EXPANSIONS[part.operator];
    const ends: ReadonlySet<number> = part.spansSegments ? endsAtIfSpanning : endsAt;
    const from = items.length;
    addText(first);
    items.push({ accepts: (code) => !ends.has(code), repeats: true });
    if (first !== "") optionals.push({ from, to: items.length });
  }
  return { items, optionals, symbols };
}
