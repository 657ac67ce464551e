/** A part of the gateway that does not exist yet. */
export type MissingPart = "auth" | "policy" | "stateless revision" | "workflow";

/**
 * Entries that cannot get their answer before a part exists, by the part that they wait for. Nothing else is left out.
 *
 * Some would pass already, but only because nobody is told from anybody else yet.
 */
export const WAITING: ReadonlyMap<MissingPart, readonly string[]> = new Map([
  [
    "auth",
    [
      "AU-001",
      "AU-003",
      "AU-005",
      "AU-006",
      "AU-007",
      "AU-011",
      "AU-012",
      "AU-015",
      "AU-016",
      "AU-017",
      "AU-019",
      "AU-020",
      "AU-021",
      "AU-022",
      "AU-023",
      "AU-026",
      "AU-027",
      "AU-028",
      "AU-030",
      "AU-032",
      "AU-033",
      "AU-034",
      "AU-036",
      "AU-037",
      "AU-040",
      "AU-043",
    ],
  ],
  ["policy", ["AU-041"]],
  [
    "stateless revision",
    [
      "MO-002",
      "MO-005",
      "MO-007",
      "MO-008",
      "MO-009",
      "MO-010",
      "MO-011",
      "MO-014",
      "MO-016",
      "MO-017",
      "MO-018",
    ],
  ],
  ["workflow", ["WF-002", "WF-004", "WF-005", "WF-007", "WF-010", "WF-012"]],
]);
