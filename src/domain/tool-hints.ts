import { isJsonObject, type JsonValue } from "./json.ts";

/** What a tool says of itself in its annotations, by their names in MCP. What it does not say is absent. */
export type ToolHints = Readonly<Partial<Record<HintName, boolean>>>;

/** In a fixed order. */
export const HINT_NAMES = [
  "readOnlyHint",
  "destructiveHint",
  "idempotentHint",
  "openWorldHint",
] as const;

type HintName = (typeof HINT_NAMES)[number];

/** The hints among annotations; undefined where there are none. */
export function hintsIn(...annotations: readonly (JsonValue | undefined)[]): ToolHints | undefined {
  const hints: Partial<Record<HintName, boolean>> = {};
  let isEmpty = true;
  for (const given of annotations) {
    if (!isJsonObject(given)) continue;
    for (const name of HINT_NAMES) {
      const hint = given[name];
      if (typeof hint !== "boolean") continue;
      hints[name] = hint;
      isEmpty = false;
    }
  }
  return isEmpty ? undefined : hints;
}
