import type { CapabilityKind } from "./capabilities.ts";
import type { BackendName } from "./ids.ts";
import type { ToolHints } from "./tool-hints.ts";

/** Where a capability goes: which backend, and under which name that backend knows it. */
export interface Route {
  readonly kind: CapabilityKind;
  readonly backend: BackendName;
  readonly originalName: string;
  readonly advertisedName: string;
  /** Of a tool: what its annotations say as clients see them; absent where they say nothing. */
  readonly hints?: ToolHints;
}

/** A capability as clients see it: its route, and the JSON text that stands for it in a list. */
export interface Advertised {
  readonly route: Route;
  readonly json: string;
}

/** All routes of one view of the backends. Built once and replaced whole. */
export interface RoutingTable {
  readonly tools: ReadonlyMap<string, Route>;
  readonly prompts: ReadonlyMap<string, Route>;
  /** By URI; URIs are never rewritten. */
  readonly resources: ReadonlyMap<string, Route>;
  /** In the order in which they are tried. */
  readonly resourceTemplates: readonly Route[];
}
