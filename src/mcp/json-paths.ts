import { scanElements, scanMembers, type ValueSpan } from "./json-spans.ts";

/** Stands in a path for every element of an array. */
export const EACH = "*";

/** A way from the top of a message to values in it: keys of objects, `EACH` for the elements of an array. */
export type JsonPath = readonly string[];

/**
 * Where the values at a path stand, in order; none where the path leads nowhere. Of members with the same key
 * the last one counts, as for `JSON.parse`. Meant for bytes of an object that `JSON.parse` has accepted.
 */
export function spansAt(bytes: Buffer, path: JsonPath): readonly ValueSpan[] {
  const top = { valueStart: bytes.indexOf(OPENING_BRACE), valueEnd: bytes.length };
  let found: readonly ValueSpan[] = [top];
  for (const key of path) found = found.flatMap((span) => spansIn(bytes, span, key));
  return found;
}

function spansIn(bytes: Buffer, { valueStart }: ValueSpan, key: string): readonly ValueSpan[] {
  if (key === EACH) {
    return bytes[valueStart] === OPENING_BRACKET ? scanElements(bytes, valueStart) : [];
  }
  if (bytes[valueStart] !== OPENING_BRACE) return [];
  const member = scanMembers(bytes, valueStart).findLast((candidate) => candidate.key === key);
  return member === undefined ? [] : [member];
}

const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;
