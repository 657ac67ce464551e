import type { PlanChange } from "../../config/reload-plan.ts";
import { count } from "../text.ts";

/** More names than this say less. */
const MAX_NAMES = 8;

/** One change of a plan as a line, without a mark in front. */
export function planLine(change: PlanChange): string {
  switch (change.kind) {
    case "backend_added":
      return `backend ${change.backend} is added`;
    case "backend_removed":
      return `backend ${change.backend} is removed`;
    case "backend_changed":
      return `backend ${change.backend} is changed (${change.fields.join(", ")}): ${WHAT_FOLLOWS[change.connections]}`;
    case "setting_changed":
      return `${change.path} is changed`;
    case "needs_restart":
      return `${change.path} needs a restart and stays as it was`;
    default:
      return change satisfies never;
  }
}

/** How many tools came and went, and which; nothing where none did. */
export function toolLines(tools: {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}): readonly string[] {
  return [
    ...namesLine(tools.added, "tool", "added"),
    ...namesLine(tools.removed, "tool", "removed"),
  ];
}

/** What came of a reload as a whole. */
export function summaryLine({
  generation,
  changes,
  sessions,
}: {
  readonly generation: number;
  readonly changes: readonly PlanChange[];
  readonly sessions: number;
}): string {
  const made = changes.filter(({ kind }) => kind !== "needs_restart").length;
  if (changes.length === 0) return "configuration read again: nothing changed";
  const taken = made === 0 ? "nothing changed" : `${count(made, "change")} in force`;
  return `configuration reloaded (generation ${String(generation)}): ${taken}, ${count(sessions, "session")}`;
}

const WHAT_FOLLOWS = {
  keep: "connections stay",
  reconnect: "each session connects anew",
  replace: "each session connects to another server",
} as const;

function namesLine(names: readonly string[], noun: string, verb: string): readonly string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, MAX_NAMES).join(", ");
  const rest = names.length > MAX_NAMES ? ", …" : "";
  return [`${count(names.length, noun)} ${verb}: ${shown}${rest}`];
}
