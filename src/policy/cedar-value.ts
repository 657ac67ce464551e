import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import type { Context } from "../lib/cedar.ts";

/** What the engine takes for a value; not a name of its own in the package. */
type CedarValue = Context[string];

/** Deeper claims are left out: a token may hold anything. */
const MAX_DEPTH = 10;

/** Keys by which the engine would read a record as something else, such as an entity that nobody made. */
const ESCAPES: ReadonlySet<string> = new Set(["__entity", "__extn", "__expr"]);

/** Digits after the point that a Cedar decimal may have, and the numbers that it can hold. */
const DECIMAL_DIGITS = 4;
const MAX_DECIMAL = 900_000_000_000_000;

/** Were it left out, a limit that asks whether there is a number before it compares would not hold for this one. */
const NO_NUMBER: CedarValue = {};

/**
 * A JSON value as Cedar has it: whole numbers are longs, others decimals, lists sets and objects records. A number that
 * Cedar cannot say exactly is there and is no number: what compares it fails, and a policy that fails denies. Undefined
 * for what else Cedar cannot say, such as `null`: it is as if it were not there.
 */
function toCedarValue(value: JsonValue | undefined, depth = 0): CedarValue | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return toCedarNumber(value);
  return depth > MAX_DEPTH ? undefined : toCollection(value, depth + 1);
}

function toCollection(value: JsonValue | undefined, depth: number): CedarValue | undefined {
  if (Array.isArray(value)) {
    return value.flatMap((item: JsonValue) => {
      const converted = toCedarValue(item, depth);
      return converted === undefined ? [] : [converted];
    });
  }
  return isJsonObject(value) ? toRecord(value, depth) : undefined;
}

function toRecord(value: JsonObject, depth: number): CedarValue | undefined {
  const entries = Object.entries(value);
  if (entries.some(([key]) => ESCAPES.has(key))) return undefined;
  return Object.fromEntries(
    entries.flatMap(([key, item]) => {
      const converted = toCedarValue(item, depth);
      return converted === undefined ? [] : [[key, converted] as const];
    }),
  );
}

function toCedarNumber(value: number): CedarValue {
  if (Number.isSafeInteger(value)) return value;
  const text = value.toFixed(DECIMAL_DIGITS);
  const isExact = Math.abs(value) <= MAX_DECIMAL && Number(text) === value;
  return isExact ? { __extn: { fn: "decimal", arg: text } } : NO_NUMBER;
}

/** Attributes under their names; those that Cedar cannot say are left out, and of one name the last counts. */
export function toAttributes(entries: readonly (readonly [string, JsonValue])[]): Context {
  return Object.fromEntries(
    entries.flatMap(([name, value]) => {
      const converted = toCedarValue(value);
      return converted === undefined ? [] : [[name, converted] as const];
    }),
  );
}
