import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";

/** How much of a schema is taken. */
export interface SchemaLimits {
  /** Schemas inside the schema, itself included. */
  readonly subSchemas: number;
  /** How deep they are nested; the schema itself is 1 deep. */
  readonly depth: number;
}

/** What can be told of a schema without running it. */
export interface SchemaSurvey {
  /** Schemas inside the schema, itself included. */
  readonly subSchemas: number;
  /** A check costs no more than its sub-schemas times the size of what is checked. */
  readonly isPlain: boolean;
  /** Why nothing can be checked by it. */
  readonly fault: string | undefined;
}

const SCHEMA_KEYWORDS: ReadonlySet<string> = new Set([
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

const LIST_KEYWORDS: ReadonlySet<string> = new Set([
  "allOf",
  "anyOf",
  "items",
  "oneOf",
  "prefixItems",
]);

const MAP_KEYWORDS: ReadonlySet<string> = new Set([
  "$defs",
  "definitions",
  "dependencies",
  "dependentSchemas",
  "patternProperties",
  "properties",
]);

/** References repeat and recur, and the rest is more than linear in the text or the list that it looks at. */
const COSTLY_KEYWORDS: ReadonlySet<string> = new Set([
  "$dynamicRef",
  "$recursiveRef",
  "$ref",
  "pattern",
  "patternProperties",
  "uniqueItems",
]);

/** Looks at every schema inside a schema, without recursion and no further than the limits. */
export function surveySchema(schema: JsonObject, limits: SchemaLimits): SchemaSurvey {
  const open: [JsonValue, number][] = [[schema, 1]];
  let subSchemas = 0;
  let isPlain = true;
  let fault: string | undefined;
  for (let next = open.pop(); next !== undefined && fault === undefined; next = open.pop()) {
    const [current, depth] = next;
    subSchemas += 1;
    fault = faultOf(current, subSchemas, depth, limits);
    if (!isJsonObject(current)) continue;
    for (const [keyword, value] of Object.entries(current)) {
      if (COSTLY_KEYWORDS.has(keyword)) isPlain = false;
      for (const inner of schemasIn(keyword, value)) open.push([inner, depth + 1]);
    }
  }
  return { subSchemas, isPlain, fault };
}

function faultOf(
  schema: JsonValue,
  subSchemas: number,
  depth: number,
  limits: SchemaLimits,
): string | undefined {
  if (subSchemas > limits.subSchemas) return `it has more than ${limits.subSchemas} sub-schemas`;
  if (depth > limits.depth) return `its sub-schemas are nested deeper than ${limits.depth} levels`;
  if (!isJsonObject(schema)) return undefined;
  // The compiler takes this keyword of its own to mean that the answer is a promise.
  if (Object.hasOwn(schema, "$async")) return "it has the keyword $async";
  // Generated code cannot tell a property of this name from the prototype.
  const { properties } = schema;
  const namesPrototype = isJsonObject(properties) && Object.hasOwn(properties, "__proto__");
  return namesPrototype ? "it describes a property with the name __proto__" : undefined;
}

/** The schemas that a keyword holds. Those of another kind than its values are left to the compiler to refuse. */
function schemasIn(keyword: string, value: JsonValue): readonly JsonValue[] {
  if (LIST_KEYWORDS.has(keyword) && Array.isArray(value)) return value;
  if (SCHEMA_KEYWORDS.has(keyword)) return isSchema(value) ? [value] : [];
  if (MAP_KEYWORDS.has(keyword) && isJsonObject(value))
    return Object.values(value).filter(isSchema);
  return [];
}

/** A dependency may also be a list of names. */
function isSchema(value: JsonValue): boolean {
  return isJsonObject(value) || typeof value === "boolean";
}
