/** A part of the gateway that does not exist yet. */
export type MissingPart = "workflow";

/**
 * Entries that cannot get their answer before a part exists, by the part that they wait for. Nothing else is left out.
 *
 * Some would pass already, but only because nobody is told from anybody else yet.
 */
export const WAITING: ReadonlyMap<MissingPart, readonly string[]> = new Map([
  ["workflow", ["WF-002", "WF-004", "WF-005", "WF-007", "WF-010", "WF-012"]],
]);
