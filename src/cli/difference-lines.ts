import pc from "picocolors";
import type { Difference } from "../pinning/compare-locks.ts";
import type { Output } from "./terminal.ts";
import { paragraph } from "./text.ts";

const KIND_WORDS = {
  backend: "",
  tool: "tool",
  prompt: "prompt",
  resourceTemplate: "resource template",
} as const satisfies Record<Difference["kind"], string>;

/** Prints one paragraph for each difference: how much it matters, what it is about, what happened. */
export function printDifferences(differences: readonly Difference[], out: Output): void {
  const { yellow, cyan } = pc.createColors(out.hasColour);
  for (const difference of differences) {
    const lead = difference.isWarning ? "warning" : "notice";
    const paint = difference.isWarning ? yellow : cyan;
    // Every character of it can be seen already; white space that somebody changed must stay as it is.
    const lines = paragraph(`${lead} ${sentence(difference)}`, out.columns).join("\n");
    out.write(`${paint(lead)}${lines.slice(lead.length)}\n`);
  }
}

function sentence({ backend, kind, name, path, effect, says }: Difference): string {
  const subject = [backend, KIND_WORDS[kind], name].filter((word) => word !== "").join(" ");
  const place = path === "" ? "" : `${path} `;
  const note = NOTES.get(effect);
  return `${subject}: ${place}${says}${note === undefined ? "" : ` (${note})`}`;
}

/** What some effects mean, where the sentence itself does not tell. */
const NOTES: ReadonlyMap<Difference["effect"], string> = new Map([
  ["widened", "takes more than before"],
  ["narrowed", "takes less than before"],
  ["riskier", "promises less than before"],
]);
