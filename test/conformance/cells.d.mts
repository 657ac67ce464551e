import type { FixtureBackend } from "./fixture-backend.mjs";
import type { SuiteRun } from "./suite.mjs";

export interface BaselineEntry {
  readonly scenario: string;
  readonly check?: string;
  readonly reason: string;
}

export interface Cell {
  readonly name: string;
  readonly start: () => Promise<FixtureBackend>;
  readonly requirements: string;
  readonly baseline: readonly BaselineEntry[];
}

export const CELLS: readonly Cell[];

export function unlisted(run: SuiteRun, baseline: readonly BaselineEntry[]): readonly string[];
