import type { JsonObject } from "../domain/json.ts";

/** The dialects of JSON Schema that arguments are checked by. */
export type Dialect = "2020-12" | "draft-07";

const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ["json-schema.org/draft/2020-12/schema", "2020-12"],
  ["json-schema.org/draft-07/schema", "draft-07"],
]);

/**
 * The dialect that a schema is written in: 2020-12 where it does not say, as MCP has it (2025-11-25, "JSON Schema
 * Usage"). Undefined for one that is not known here.
 */
export function dialectOf(schema: JsonObject): Dialect | undefined {
  const named = schema["$schema"];
  if (named === undefined) return "2020-12";
  if (typeof named !== "string") return undefined;
  return DIALECTS.get(named.replace(/^https?:\/\//, "").replace(/#$/, ""));
}
