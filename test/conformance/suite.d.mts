export type CheckStatus = "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";

export interface Verdict {
  readonly status: CheckStatus;
  readonly errorMessage?: string | undefined;
}

/** What one run of the suite found: the verdict on every check, by scenario and the check's id. */
export interface SuiteRun {
  readonly scenarios: ReadonlyMap<string, ReadonlyMap<string, Verdict>>;
}

export interface FinishedRun extends SuiteRun {
  /** 0 if every scored scenario passed. */
  readonly exitCode: number | null;
  readonly output: string;
}

export interface Difference {
  readonly scenario: string;
  readonly check: string;
  readonly direct: CheckStatus;
  readonly gateway: CheckStatus;
}

export const CLIENT_SCENARIOS: readonly string[];

export function runServerSuite(url: string, requirements?: string): Promise<FinishedRun>;
export function runClientScenario(
  scenario: string,
  way: "direct" | "gateway",
  revision?: string,
): Promise<FinishedRun>;
export function differences(direct: SuiteRun, gateway: SuiteRun): readonly Difference[];
