import type { JsonObject } from "../domain/json.ts";
import type { Route, RoutingTable } from "../domain/routing-table.ts";
import { findPrompt } from "./find.ts";

/**
 * Where a completion request goes, by its `ref`: a prompt's advertised name, or the text of a resource template
 * or the URI of a listed resource.
 *
 * Undefined for what is not advertised and for a `ref` of any other shape. A URI that only matches a template
 * is not looked up here: the router knows the compiled templates.
 */
export function completionTarget(table: RoutingTable, ref: JsonObject): Route | undefined {
  const { type, name, uri } = ref;
  if (type === "ref/prompt" && typeof name === "string") return findPrompt(table, name);
  if (type !== "ref/resource" || typeof uri !== "string") return undefined;
  const template = table.resourceTemplates.find(({ originalName }) => originalName === uri);
  return template ?? table.resources.get(uri);
}
