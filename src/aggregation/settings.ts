import type { JsonObject } from "../domain/json.ts";

export type ConflictStrategy = "prefix" | "prefixOnConflict" | "priority" | "manual";

/** What an operator says of one capability in place of the backend. Absent fields leave the backend's own. */
export interface CapabilityOverride {
  /** The new name. A resource or template keeps its URI and only shows another `name`. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** Laid over the backend's annotations, field by field. */
  readonly annotations?: JsonObject | undefined;
}

/** What holds for the tools, prompts or resources of one backend. */
export interface BackendRules {
  readonly workload: string;
  /**
   * Names that may be seen; absent means all, an empty list means none. `*` stands for any text, `?` for
   * one character. Tools and prompts are matched by their name after override and before any prefix,
   * resources by URI, templates by the text of the template.
   */
  readonly filter?: readonly string[] | undefined;
  /** By original name: `name` of a tool or prompt, `uri` or `uriTemplate`. */
  readonly overrides: Readonly<Record<string, CapabilityOverride>>;
  readonly excludeAll: boolean;
}

/** How many backends' capabilities become one list. The first of several rules for one workload counts. */
export interface AggregationSettings {
  readonly strategy: ConflictStrategy;
  /** `{workload}` is replaced by the backend's name wherever it occurs. */
  readonly prefixFormat: string;
  /** Best first; only `priority` reads it. */
  readonly priorityOrder: readonly string[];
  /** The longest advertised name of a tool or prompt, in characters; at least 16. */
  readonly maxNameLength: number;
  /** Hides every tool of every backend, whatever `tools` says. */
  readonly excludeAllTools: boolean;
  /** Whether tools of a backend without an entry in `tools` are seen. An entry opts its backend in. */
  readonly defaultToolVisibility: "allow" | "deny";
  readonly tools: readonly BackendRules[];
  readonly prompts: readonly BackendRules[];
  /** For resources and resource templates alike. */
  readonly resources: readonly BackendRules[];
}

export const DEFAULT_SETTINGS: AggregationSettings = {
  strategy: "prefix",
  prefixFormat: "{workload}_",
  priorityOrder: [],
  maxNameLength: 64,
  excludeAllTools: false,
  defaultToolVisibility: "allow",
  tools: [],
  prompts: [],
  resources: [],
};
