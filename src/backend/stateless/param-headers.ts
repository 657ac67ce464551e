import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";

/** An argument that is to be mirrored into a header. */
export interface ParamHeader {
  /** Lower case, with the prefix that all of them have. */
  readonly header: string;
  /** The keys that lead to it from the arguments. */
  readonly path: readonly string[];
}

export type ParamHeaders =
  | { readonly headers: readonly ParamHeader[] }
  /** Why the tool cannot be offered. */
  | { readonly fault: string };

const ANNOTATION = "x-mcp-header";

const PREFIX = "mcp-param-";

const BAD_NAME = "a parameter of it is to be in a header that has no proper name";

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const PRIMITIVE_TYPES: ReadonlySet<JsonValue> = new Set(["string", "integer", "boolean"]);

/** Keywords whose value is a schema or an array of schemas. */
const SCHEMA_KEYWORDS: ReadonlySet<string> = new Set([
  "items",
  "additionalItems",
  "prefixItems",
  "contains",
  "unevaluatedItems",
  "additionalProperties",
  "unevaluatedProperties",
  "propertyNames",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
]);

/** Keywords whose value holds schemas by names of the author's choice. */
const MAP_KEYWORDS: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
  "$defs",
  "definitions",
]);

/**
 * Which arguments a tool wants to see in headers, or why it says so in a way that makes the tool unusable over
 * HTTP. Source: streamable HTTP of 2026-07-28, "Schema Extension".
 */
export function readParamHeaders(tool: JsonObject): ParamHeaders {
  const { inputSchema } = tool;
  const headers: ParamHeader[] = [];
  const fault = isJsonObject(inputSchema) ? collect(inputSchema, [], true, headers) : undefined;
  if (fault !== undefined) return { fault };
  const seen = new Set<string>();
  for (const { header } of headers) {
    if (seen.has(header)) return { fault: `two of its parameters are to be in one header` };
    seen.add(header);
  }
  return { headers };
}

/** Goes through the schema and returns the first fault; `path` leads here by `properties` alone if `isStatic`. */
function collect(
  schema: JsonObject,
  path: readonly string[],
  isStatic: boolean,
  found: ParamHeader[],
): string | undefined {
  const name = schema[ANNOTATION];
  if (name !== undefined) {
    const fault = faultOf(schema, isStatic && path.length > 0);
    if (fault !== undefined || typeof name !== "string") return fault ?? BAD_NAME;
    found.push({ header: `${PREFIX}${name.toLowerCase()}`, path });
  }
  for (const [keyword, value] of Object.entries(schema)) {
    for (const [key, inner] of schemasIn(keyword, value)) {
      const isStillStatic = isStatic && keyword === "properties";
      const fault = collect(inner, isStillStatic ? [...path, key] : path, isStillStatic, found);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

function faultOf(schema: JsonObject, isReachable: boolean): string | undefined {
  const name = schema[ANNOTATION];
  if (typeof name !== "string" || !TOKEN.test(name)) {
    return BAD_NAME;
  }
  const { type } = schema;
  if (type === undefined || !PRIMITIVE_TYPES.has(type)) {
    return "a parameter of it that is no text, integer or boolean is to be in a header";
  }
  return isReachable ? undefined : "something else than a parameter of it is to be in a header";
}

function schemasIn(
  keyword: string,
  value: JsonValue,
): readonly (readonly [key: string, schema: JsonObject])[] {
  if (MAP_KEYWORDS.has(keyword)) {
    return isJsonObject(value) ? Object.entries(value).flatMap(toEntry) : [];
  }
  if (!SCHEMA_KEYWORDS.has(keyword)) return [];
  const schemas: readonly JsonValue[] = Array.isArray(value) ? value : [value];
  return schemas.flatMap((schema) => toEntry(["", schema]));
}

function toEntry([key, schema]: readonly [string, JsonValue]): readonly [string, JsonObject][] {
  return isJsonObject(schema) ? [[key, schema]] : [];
}
