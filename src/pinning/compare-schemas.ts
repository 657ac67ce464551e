import { isDeepStrictEqual } from "node:util";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { isSameValue } from "./canonical.ts";
import { shown, type Change, type ChangeEffect } from "./change.ts";
import { SCHEMA_KEYWORDS, SCHEMA_LIST_KEYWORDS, SCHEMA_MAP_KEYWORDS } from "./definition.ts";
import { wordDiff } from "./word-diff.ts";

/**
 * Says how one JSON Schema differs from another, keyword by keyword. Expects values that `isShallow` takes.
 *
 * `widened` and `narrowed` are said of the keyword alone: two changes may together let the same through as before.
 */
export function compareSchemas(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
): readonly Change[] {
  if (isSameValue(before, after)) return [];
  if (before === undefined) return [{ path, effect: "added", says: "was added" }];
  if (after === undefined) return [{ path, effect: "removed", says: "was removed" }];
  if (!isJsonObject(before) || !isJsonObject(after)) return [compareOpenness(before, after, path)];
  const keywords = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keywords].toSorted().flatMap((keyword) => {
    const [was, is] = [own(before, keyword), own(after, keyword)];
    if (is === was || isSameValue(was, is)) return [];
    return compareKeyword({ keyword, before, after, was, is, path });
  });
}

interface Pair {
  readonly keyword: string;
  /** The schemas that hold the keyword. */
  readonly before: JsonObject;
  readonly after: JsonObject;
  /** Its values, which differ. */
  readonly was: JsonValue | undefined;
  readonly is: JsonValue | undefined;
  readonly path: string;
}

type Comparison = (pair: Pair) => readonly Change[];

/** At least one, unless it is said where the keyword's neighbour is compared. */
function compareKeyword(pair: Pair): readonly Change[] {
  const changes = compareValues(pair);
  const isSaid = changes.length > 0 || namesDifferently(pair);
  return isSaid ? changes : [valueChange(pair, "changed")];
}

/** What is required is said of properties that come or go. */
function namesDifferently({ keyword, was, is }: Pair): boolean {
  return keyword === "required" && !isDeepStrictEqual(namesIn(was), namesIn(is));
}

function compareValues(pair: Pair): readonly Change[] {
  const { keyword } = pair;
  const special = COMPARISONS.get(keyword);
  if (special !== undefined) return special(pair);
  if (SCHEMA_LIST_KEYWORDS.has(keyword)) return compareList(pair);
  if (SCHEMA_MAP_KEYWORDS.has(keyword)) return compareMap(pair);
  if (SCHEMA_KEYWORDS.has(keyword)) return compareNested(pair);
  return [valueChange(pair, "changed")];
}

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  ["type", compareTypes],
  ["enum", compareEnums],
  ["required", compareRequired],
  ["properties", compareProperties],
  ["description", compareText],
  ["title", compareText],
  ["additionalProperties", compareExtra],
  ["unevaluatedProperties", compareExtra],
  ["additionalItems", compareExtra],
  ["unevaluatedItems", compareExtra],
  ["anyOf", compareAlternatives],
  ["oneOf", compareAlternatives],
  ...["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"].map(
    (keyword): [string, Comparison] => [keyword, compareBound(1)],
  ),
  ...["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"].map(
    (keyword): [string, Comparison] => [keyword, compareBound(-1)],
  ),
  ...["const", "format", "multipleOf", "pattern", "uniqueItems"].map(
    (keyword): [string, Comparison] => [keyword, compareRestriction],
  ),
]);

/** `true` and `{}` let everything through, `false` nothing. */
function compareOpenness(before: JsonValue, after: JsonValue, path: string): Change {
  const says = `was ${shown(before)} and is ${shown(after)}`;
  if (after === true || before === false) return { path, effect: "widened", says };
  if (before === true || after === false) return { path, effect: "narrowed", says };
  return { path, effect: "changed", says };
}

function compareTypes({ was, is, path }: Pair): readonly Change[] {
  const [old, now] = [typesOf(was), typesOf(is)];
  const gained =
    now === undefined || (old !== undefined && [...now].some((type) => !old.has(type)));
  const lost = old === undefined || (now !== undefined && [...old].some((type) => !now.has(type)));
  const says = `takes ${listed(is, "any type")}, before it was ${listed(was, "any type")}`;
  return [{ path, effect: directionOf(gained, lost), says }];
}

/** Undefined: all types. Every integer is a number too. */
function typesOf(value: JsonValue | undefined): ReadonlySet<JsonValue> | undefined {
  if (value === undefined) return undefined;
  const types = new Set<JsonValue>(Array.isArray(value) ? value : [value]);
  if (types.has("number")) types.add("integer");
  return types;
}

function compareEnums({ was, is, path }: Pair): readonly Change[] {
  if (!Array.isArray(was) || !Array.isArray(is)) {
    const effect = is === undefined ? "widened" : "narrowed";
    const says =
      is === undefined
        ? "may have any value, and not only listed ones"
        : "takes listed values only";
    return [{ path, effect: was === undefined || is === undefined ? effect : "changed", says }];
  }
  const gained = is.filter((value) => !was.some((old) => isSameValue(old, value)));
  const lost = was.filter((value) => !is.some((now) => isSameValue(now, value)));
  return [
    ...gained.map((value) => change(path, "widened", `takes the value ${quoted(value)} too`)),
    ...lost.map((value) => change(path, "narrowed", `no longer takes the value ${quoted(value)}`)),
  ];
}

function compareRequired({ before, after, was, is, path }: Pair): readonly Change[] {
  const [old, now] = [namesIn(was), namesIn(is)];
  return [...new Set([...old, ...now])].toSorted().flatMap((name) => {
    if (old.has(name) === now.has(name)) return [];
    // Of a property that comes or goes it is said there.
    if (hasProperty(before, name) !== hasProperty(after, name)) return [];
    return now.has(name)
      ? [change(propertyPath(path, name), "narrowed", "became required")]
      : [change(propertyPath(path, name), "widened", "became optional")];
  });
}

function compareProperties({ before, after, was, is, path }: Pair): readonly Change[] {
  const [old, now] = [mapOf(was), mapOf(is)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names.flatMap((name): readonly Change[] => {
    const at = propertyPath(path, name);
    if (!old.has(name)) return [change(at, "widened", `was added${requiredNote(after, name)}`)];
    if (!now.has(name)) return [change(at, "narrowed", `was removed${requiredNote(before, name)}`)];
    return compareSchemas(old.get(name), now.get(name), at);
  });
}

function requiredNote(schema: JsonObject, name: string): string {
  return namesIn(schema["required"]).has(name) ? " (required)" : " (optional)";
}

function compareExtra({ keyword, was = true, is = true, path }: Pair): readonly Change[] {
  const at = `${path}.${keyword}`;
  if (isOpen(is) && !isOpen(was)) return [change(at, "widened", "takes anything now")];
  if (isOpen(was) && !isOpen(is)) return [change(at, "narrowed", "no longer takes anything")];
  return compareSchemas(was, is, at);
}

function isOpen(schema: JsonValue): boolean {
  return schema === true || (isJsonObject(schema) && Object.keys(schema).length === 0);
}

/** Alternatives that both have are left out; as many as are left on both sides are compared one by one. */
function compareAlternatives(pair: Pair): readonly Change[] {
  const { keyword, was, is, path } = pair;
  if (!Array.isArray(was) || !Array.isArray(is)) {
    return [valueChange(pair, is === undefined ? "widened" : "narrowed")];
  }
  const gone = was.filter((old) => !is.some((now) => isSameValue(old, now)));
  const come = is.filter((now) => !was.some((old) => isSameValue(old, now)));
  const at = `${path}.${keyword}`;
  if (gone.length === come.length) {
    const changes = gone.flatMap((old, index) => compareSchemas(old, come[index], at));
    return changes.length > 0 ? changes : [change(at, "changed", "has another order")];
  }
  return [
    ...come.map((now) => change(at, "widened", `has the alternative ${shown(now)} too`)),
    ...gone.map((old) => change(at, "narrowed", `no longer has the alternative ${shown(old)}`)),
  ];
}

function compareList(pair: Pair): readonly Change[] {
  const { keyword, was, is, path } = pair;
  if (!Array.isArray(was) || !Array.isArray(is)) return [valueChange(pair, "changed")];
  return Array.from({ length: Math.max(was.length, is.length) }, (_none, index) =>
    compareSchemas(was[index], is[index], `${path}.${keyword}[${String(index)}]`),
  ).flat();
}

function compareMap({ keyword, was, is, path }: Pair): readonly Change[] {
  const [old, now] = [mapOf(was), mapOf(is)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names.flatMap((name) =>
    compareSchemas(old.get(name), now.get(name), `${path}.${keyword}.${shown(name)}`),
  );
}

function compareNested(pair: Pair): readonly Change[] {
  const { keyword, was, is, path } = pair;
  if (keyword === "items" && (Array.isArray(was) || Array.isArray(is))) return compareList(pair);
  const at = keyword === "items" ? `${path}[]` : `${path}.${keyword}`;
  return compareSchemas(was, is, at);
}

/** `sign` is 1 where a greater value lets more through. */
function compareBound(sign: 1 | -1): Comparison {
  return (pair) => {
    const { was, is } = pair;
    if (typeof was === "number" && typeof is === "number") {
      return [valueChange(pair, (is - was) * sign > 0 ? "widened" : "narrowed")];
    }
    return compareRestriction(pair);
  };
}

/** More fits without it than with it. */
function compareRestriction(pair: Pair): readonly Change[] {
  if (pair.is === undefined) return [valueChange(pair, "widened")];
  return [valueChange(pair, pair.was === undefined ? "narrowed" : "changed")];
}

function compareText(pair: Pair): readonly Change[] {
  const { keyword, was, is, path } = pair;
  const at = `${path}.${keyword}`;
  if (typeof (was ?? "") !== "string" || typeof (is ?? "") !== "string") {
    return [valueChange(pair, "changed")];
  }
  return [change(at, "text", textChange(was, is))];
}

/** What became of a text, as the rest of a sentence. */
export function textChange(was: JsonValue | undefined, is: JsonValue | undefined): string {
  const [old, now] = [was, is].map((text) => (typeof text === "string" ? text : ""));
  const diff = wordDiff(old ?? "", now ?? "");
  if (was === undefined) return `was added: ${diff}`;
  return is === undefined ? `was removed: ${diff}` : `changed: ${diff}`;
}

function valueChange({ keyword, was, is, path }: Pair, effect: ChangeEffect): Change {
  return change(`${path}.${shown(keyword)}`, effect, valueText(was, is));
}

/** How a value became another one, as the rest of a sentence. */
export function valueText(was: JsonValue | undefined, is: JsonValue | undefined): string {
  if (was === undefined) return `was added: ${shown(is)}`;
  return is === undefined ? `was removed: ${shown(was)}` : `was ${shown(was)} and is ${shown(is)}`;
}

function directionOf(gained: boolean, lost: boolean): ChangeEffect {
  if (gained === lost) return "changed";
  return gained ? "widened" : "narrowed";
}

function change(path: string, effect: ChangeEffect, says: string): Change {
  return { path, effect, says };
}

function propertyPath(path: string, name: string): string {
  return `${path}.${shown(name)}`;
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function mapOf(value: JsonValue | undefined): ReadonlyMap<string, JsonValue> {
  return new Map(isJsonObject(value) ? Object.entries(value) : []);
}

function namesIn(value: JsonValue | undefined): ReadonlySet<string> {
  return new Set(Array.isArray(value) ? value.filter((name) => typeof name === "string") : []);
}

function hasProperty(schema: JsonObject, name: string): boolean {
  return mapOf(schema["properties"]).has(name);
}

function listed(value: JsonValue | undefined, none: string): string {
  if (value === undefined) return none;
  return (Array.isArray(value) ? value : [value])
    .map((entry: JsonValue) => shown(entry))
    .join(" or ");
}

function quoted(value: JsonValue): string {
  return shown(JSON.stringify(value));
}
