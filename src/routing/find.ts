import type { Route, RoutingTable } from "../domain/routing-table.ts";

/** Where a tool goes, by its advertised name; undefined for a name that is not advertised. */
export function findTool(table: RoutingTable, name: string): Route | undefined {
  return table.tools.get(name);
}

/** Where a prompt goes, by its advertised name; undefined for a name that is not advertised. */
export function findPrompt(table: RoutingTable, name: string): Route | undefined {
  return table.prompts.get(name);
}
