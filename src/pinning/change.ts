import type { JsonValue } from "../domain/json.ts";
import { shownText } from "./shown-text.ts";

/**
 * What kind of difference it is. `widened`: something fits now that did not before; `narrowed`: something no longer
 * fits; `riskier`: what a tool says of its own dangers is worse now; `text`: words that a model reads.
 */
export type ChangeEffect =
  | "added"
  | "removed"
  | "widened"
  | "narrowed"
  | "riskier"
  | "text"
  | "changed";

/** One difference inside of a definition. */
export interface Change {
  /** Where, such as `inputSchema.path`, every character of it to be seen. */
  readonly path: string;
  readonly effect: ChangeEffect;
  /** What happened, as the rest of a sentence that begins with the path; harmless wherever it is shown. */
  readonly says: string;
}

const MAX_SHOWN = 120;

/** A key or a value of a stranger, on one line and no longer than a line. */
export function shown(value: JsonValue | undefined): string {
  return shownText(
    typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing"),
    MAX_SHOWN,
  );
}
