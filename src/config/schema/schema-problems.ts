import type { z } from "zod";
import type { ConfigPath, Finding } from "../problems.ts";
import { pathText, problem } from "../problems.ts";
import { kindOf, valueAt } from "../raw-values.ts";
import { didYouMean } from "../suggestion.ts";
import { keysOf, supportOf, typeAt } from "./schema-type.ts";
import { transportMeantBy } from "./transport-words.ts";

/** Longer texts are not shown back: they are no slip of the pen, and may be anything. */
const MAX_SHOWN_CHARS = 40;

type Issue = z.core.$ZodIssue;

const ARTICLES = new Map([
  ["string", "a text"],
  ["number", "a number"],
  ["int", "a whole number"],
  ["boolean", "true or false"],
  ["object", "a mapping"],
  ["record", "a mapping"],
  ["array", "a list"],
]);

/**
 * Says in words what the schema found. `raw` is the value that was checked; what stands at `secretPaths`
 * came out of a reference and is not shown.
 */
export function describeIssues(
  issues: readonly Issue[],
  raw: unknown,
  secretPaths: ReadonlySet<string>,
): readonly Finding[] {
  return issues.flatMap((issue) => describeIssue(issue, raw, secretPaths));
}

function describeIssue(
  issue: Issue,
  raw: unknown,
  secretPaths: ReadonlySet<string>,
): readonly Finding[] {
  const path = configPath(issue.path);
  const value = valueAt(raw, path);
  // The library may add codes; whatever has no case here has its own wording.
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownField(path, key));
    case "invalid_type":
      return [problem(path, wrongKind(issue, value))];
    case "invalid_value":
      return [wrongChoice(path, issue.values, secretPaths.has(pathText(path)) ? undefined : value)];
    case "invalid_key":
      return issue.issues.map((inner) => problem(path, inner.message));
    case "too_small":
      return [problem(path, ownWording(issue) ?? `must be at least ${String(issue.minimum)}`)];
    case "too_big":
      return [problem(path, ownWording(issue) ?? `must be at most ${String(issue.maximum)}`)];
    case "invalid_union":
      return [problem(path, unionWording(issue, value))];
    default:
      return [problem(path, issue.message)];
  }
}

function unknownField(path: ConfigPath, key: string): Finding {
  const type = typeAt(path);
  const known = type === undefined ? [] : keysOf(type);
  return problem([...path, key], "is not a known field", didYouMean(key, known));
}

function wrongKind(issue: z.core.$ZodIssueInvalidType, value: unknown): string {
  const { expected, message } = issue;
  const right = ARTICLES.get(expected) ?? expected;
  // A field that knows better than its type what would be right says so.
  if (value !== undefined && !message.startsWith("Invalid input")) return message;
  if (value === undefined) return `is missing; ${right} belongs here`;
  return `must be ${right}, but ${kindOf(value)} stands here`;
}

function wrongChoice(path: ConfigPath, values: readonly unknown[], value: unknown): Finding {
  const choices = offeredOf(path, values);
  const [only, second] = choices;
  const expected =
    only !== undefined && second === undefined
      ? `must be ${only}`
      : `must be one of ${choices.join(", ")}`;
  const transport = isBackendField(path, "type") ? transportMeantBy(value) : undefined;
  if (transport !== undefined) {
    return problem(path, "does not choose the transport", `write transport: ${transport}`);
  }
  if (value === undefined) return problem(path, expected);
  if (typeof value !== "string") return problem(path, `${expected}, not ${kindOf(value)}`);
  if (value.length > MAX_SHOWN_CHARS) return problem(path, expected);
  const found = `${expected}, not ${JSON.stringify(value)}`;
  return problem(path, found, didYouMean(meantIn(path, value), choices));
}

/** The choices that are worth a try: an empty text says nothing in a sentence, and what is refused helps nobody. */
function offeredOf(path: ConfigPath, values: readonly unknown[]): readonly string[] {
  const type = typeAt(path);
  const refused: readonly unknown[] = (type && supportOf(type).refusedValues) ?? [];
  return values.filter((value) => value !== "" && !refused.includes(value)).map(String);
}

/** Other programs have other words for what can stand here. */
function meantIn(path: ConfigPath, value: string): string {
  const isTransport = isBackendField(path, "transport");
  return (isTransport ? transportMeantBy(value) : undefined) ?? value;
}

function isBackendField(path: ConfigPath, field: string): boolean {
  return path.length === 3 && path[0] === "backends" && path[2] === field;
}

function unionWording({ message }: Issue, value: unknown): string {
  const right = message === "Invalid input" ? "has a form that does not belong here" : message;
  return value === undefined ? "is missing" : right;
}

/** The library's default wording begins with "Too"; ours says what would be right. */
function ownWording({ message }: Issue): string | undefined {
  return message.startsWith("Too ") ? undefined : message;
}

function configPath(path: readonly PropertyKey[]): ConfigPath {
  return path.map((segment) => (typeof segment === "number" ? segment : String(segment)));
}
