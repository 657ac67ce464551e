const CLOSERS = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);
const OPENERS_BY_CLOSER = new Map([...CLOSERS].map(([opener, closer]) => [closer, opener]));

/** Comments and texts, which may hold any bracket. */
const QUOTED = /\/\/[^\n]*|"(?:[^"\\]|\\.)*"/gs;
const HEAD = /^(?:@\w+(?:\([^)]*\))?\s*)*(?:permit|forbid)\s*\(/;

/**
 * What is plainly wrong with the text of a policy: not begun, not ended, brackets that do not match. A text
 * that passes may still be wrong in ways that only a policy engine can tell.
 */
export function policyFault(policy: string): string | undefined {
  const text = policy.replaceAll(QUOTED, "").trim();
  if (!HEAD.test(text)) return "is not a Cedar policy: it must begin with permit( or forbid(";
  if (!hasMatchingBrackets(text)) return "is not a Cedar policy: its brackets do not match";
  return text.endsWith(";") ? undefined : "is not a Cedar policy: it must end with a semicolon";
}

function hasMatchingBrackets(text: string): boolean {
  const open: string[] = [];
  for (const character of text) {
    if (CLOSERS.has(character)) open.push(character);
    const opener = OPENERS_BY_CLOSER.get(character);
    if (opener !== undefined && open.pop() !== opener) return false;
  }
  return open.length === 0;
}
