import type { Capability } from "../domain/capabilities.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { canonicalText, isShallow, sortedByKey } from "./canonical.ts";

/**
 * What is compared of a capability: its content in one order, or its very text where that means different things to
 * different readers (a key that stands twice) or is nested too deeply to be walked.
 */
export type Definition = JsonObject | string;

/** The members of a definition that hold schemas. */
const SCHEMA_MEMBERS: ReadonlySet<string> = new Set(["inputSchema", "outputSchema"]);

/** Keywords whose value is one schema. */
export const SCHEMA_KEYWORDS: ReadonlySet<string> = new Set([
  "additionalItems",
  "additionalProperties",
  "contains",
  "contentSchema",
  "else",
  "if",
  "items",
  "not",
  "propertyNames",
  "then",
  "unevaluatedItems",
  "unevaluatedProperties",
]);

/** Keywords whose value is a list of schemas. */
export const SCHEMA_LIST_KEYWORDS: ReadonlySet<string> = new Set([
  "allOf",
  "anyOf",
  "oneOf",
  "prefixItems",
]);

/** Keywords whose value is schemas by name. */
export const SCHEMA_MAP_KEYWORDS: ReadonlySet<string> = new Set([
  "$defs",
  "definitions",
  "dependentSchemas",
  "patternProperties",
  "properties",
]);

/** Keywords whose value is a list in which order means nothing (JSON Schema 2020-12, validation, 6.1 and 6.5.3). */
const SET_KEYWORDS: ReadonlySet<string> = new Set(["enum", "required", "type"]);

/** What of a capability is locked and compared. Equal definitions mean the same to every reader. */
export function definitionOf({ json, value }: Pick<Capability, "json" | "value">): Definition {
  if (!isShallow(value) || hasRepeatedKey(json, value)) return json;
  const members = Object.entries(value).map(([key, member]) => [
    key,
    SCHEMA_MEMBERS.has(key) ? normalisedSchema(member) : sortedByKey(member),
  ]);
  return sortedObject(members);
}

/** The schema with its keys in order, and the lists in order in which order means nothing. */
function normalisedSchema(schema: JsonValue): JsonValue {
  if (!isJsonObject(schema)) return sortedByKey(schema);
  return sortedObject(
    Object.entries(schema).map(([key, value]) => [key, normalisedKeyword(key, value)]),
  );
}

function normalisedKeyword(key: string, value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    if (SET_KEYWORDS.has(key)) return value.map(sortedByKey).toSorted(byText);
    return SCHEMA_LIST_KEYWORDS.has(key) || key === "items"
      ? value.map(normalisedSchema)
      : sortedByKey(value);
  }
  if (SCHEMA_KEYWORDS.has(key)) return normalisedSchema(value);
  if (!SCHEMA_MAP_KEYWORDS.has(key) || !isJsonObject(value)) return sortedByKey(value);
  return sortedObject(
    Object.entries(value).map(([name, schema]) => [name, normalisedSchema(schema)]),
  );
}

/** Of a key that stands twice in one object some readers take the first value and some the last. */
function hasRepeatedKey(json: string, value: JsonValue): boolean {
  return countColons(json) !== countKeys(value);
}

/** Those that are no part of a text: one for each key. */
function countColons(json: string): number {
  let colons = 0;
  let isInText = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === '"') isInText = !isInText;
    else if (isInText && character === "\\") at += 1;
    else if (!isInText && character === ":") colons += 1;
  }
  return colons;
}

function countKeys(value: JsonValue): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside: readonly JsonValue[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : inside.length;
  return inside.reduce<number>((sum, entry) => sum + countKeys(entry), own);
}

function sortedObject(entries: readonly (readonly (JsonValue | string)[])[]): JsonObject {
  // Pairs of a key and a value went in, and the same value with its keys in order comes out.
  return sortedByKey(Object.fromEntries(entries)) as JsonObject;
}

function byText(left: JsonValue, right: JsonValue): number {
  const [a, b] = [canonicalText(left), canonicalText(right)];
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
