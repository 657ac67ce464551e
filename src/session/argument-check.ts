import type { JsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";

/** Where the definition of a tool is looked up. */
export interface ToolSource {
  /** The tool as its backend lists it to this session; undefined where it is not known. */
  toolOf(route: Route): JsonObject | undefined;
}

/**
 * Decides before a call of a tool leaves whether its arguments fit.
 *
 * Asked for every call of a tool, so what is not to be checked costs one lookup.
 */
export interface ArgumentCheck {
  /** What to tell the model that made the call, or undefined where the call may go on. Never throws. */
  faultOf(request: InboundRequest, route: Route, tools: ToolSource): string | undefined;
}

/** Leaves every call to its backend. */
export const NO_ARGUMENT_CHECK: ArgumentCheck = {
  faultOf: () => undefined,
};
