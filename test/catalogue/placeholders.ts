/**
 * The values of `${NAME}`. One that is a function is made when it is first needed; the function may be
 * asynchronous, and its value is kept.
 */
export type Values = ReadonlyMap<string, unknown>;

const PLACEHOLDER = /\$\{([A-Za-z0-9_^]+)\}/g;

/** Whatever `value` names and the table does not know. */
class UnknownPlaceholder extends Error {
  override readonly name = "UnknownPlaceholder";

  constructor(name: string) {
    super(`the placeholder \${${name}} is not known`);
  }
}

/** Fills every placeholder in all texts within a value. A text that is nothing but one becomes what it stands for. */
export function fill(value: unknown, values: Values): unknown {
  if (typeof value === "string") return fillText(value, values);
  if (Array.isArray(value)) return value.map((item: unknown) => fill(item, values));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const filled = Object.entries(value).map(([key, member]) => [key, fill(member, values)]);
  // A `__proto__` of the catalogue's own stays a member like any other.
  return Object.fromEntries(filled);
}

/** Fills what the table knows and leaves the rest, which then is not ours: configuration has references of its own. */
export function fillKnown(text: string, values: Values): string {
  return text.replaceAll(PLACEHOLDER, (whole, name: string) =>
    values.has(name) ? String(values.get(name)) : whole,
  );
}

/** The names of all placeholders within a value. */
export function placeholdersIn(value: unknown): ReadonlySet<string> {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return new Set([...text.matchAll(PLACEHOLDER)].map(([, name]) => name ?? ""));
}

function fillText(text: string, values: Values): unknown {
  const whole = /^\$\{([A-Za-z0-9_^]+)\}$/.exec(text)?.[1];
  if (whole !== undefined) return known(whole, values);
  return text.replaceAll(PLACEHOLDER, (_match, name: string) => String(known(name, values)));
}

function known(name: string, values: Values): unknown {
  if (!values.has(name)) throw new UnknownPlaceholder(name);
  return values.get(name);
}
