import type { Route, RoutingTable } from "../domain/routing-table.ts";
import { compileTemplate } from "./uri-template.ts";

/** Finds the way of a resource in one routing table. Its templates are compiled once. */
export interface Router {
  /** The route of a listed URI, else of the first template that the URI fits, else undefined. */
  findResource(uri: string): Route | undefined;
}

export function createRouter(table: RoutingTable): Router {
  const templates = table.resourceTemplates.map((route) => ({
    route,
    fits: compileTemplate(route.originalName),
  }));
  return {
    findResource: (uri) =>
      table.resources.get(uri) ?? templates.find(({ fits }) => fits(uri))?.route,
  };
}
