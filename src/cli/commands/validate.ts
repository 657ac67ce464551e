import pc from "picocolors";
import { loadPins } from "../../app/pins.ts";
import { loadConfig } from "../../config/load-config.ts";
import { ConfigError, type ConfigProblem } from "../../config/problems.ts";
import { digestsOf, hasLiterals } from "../../config/comparable.ts";
import { compareConfigs, type PlanChange } from "../../config/reload-plan.ts";
import type { Environment } from "../../config/references.ts";
import type { ComparableConfig, VmcpConfig } from "../../config/vmcp-config.ts";
import { VmcpError } from "../../domain/errors.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { configFile } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Terminal } from "../terminal.ts";
import { planLine } from "../reload/plan-lines.ts";
import { askRunningGateway } from "../reload/running-gateway.ts";
import { count, oneLine, paragraph } from "../text.ts";

interface Checked {
  /** Undefined where there are problems. */
  readonly config: VmcpConfig | undefined;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

/** Checks a configuration without starting anything of it. */
export const validate: CommandAction = async ({ args, flags, terminal }) => {
  const path = configFile(args[0], terminal);
  const checked = check(path, terminal);
  const against = flags.text("against");
  const plan =
    against === undefined || checked.config === undefined
      ? undefined
      : await planAgainst(against, checked.config, terminal.env);
  if (flags.isSet("json")) printJson(checked, plan, terminal);
  else {
    print(path, checked, terminal);
    if (plan !== undefined) printPlan(plan, terminal);
  }
  return checked.config === undefined ? EXIT.config : EXIT.ok;
};

function check(path: string, { env, cwd }: Terminal): Checked {
  try {
    const { config, warnings } = loadConfig({ path, env, cwd });
    const problems = lockProblems(path, config);
    return { config: problems.length > 0 ? undefined : config, problems, warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { config: undefined, problems: error.problems, warnings: [] };
  }
}

/** A gateway that is to pin does not start without a lock file that it can use. */
function lockProblems(file: string, config: VmcpConfig): readonly ConfigProblem[] {
  try {
    loadPins(config);
    return [];
  } catch (error) {
    if (!(error instanceof VmcpError)) throw error;
    return [{ file, line: 1, column: 1, path: "lockFile", message: error.message }];
  }
}

/** What a reload of a running gateway would do. */
interface Plan {
  readonly address: string;
  readonly sessions: number;
  readonly changes: readonly PlanChange[];
  /** Whether the file holds values that are never compared. */
  readonly isPartial: boolean;
}

async function planAgainst(
  address: string,
  { comparable }: VmcpConfig,
  env: Environment,
): Promise<Plan> {
  const { sessions, salt, digests } = await askRunningGateway(address, env);
  const own = toDigestedConfig(comparable, salt);
  const changes = compareConfigs(digests, own);
  return { address, sessions, changes, isPartial: hasLiterals(comparable) };
}

function toDigestedConfig(comparable: ComparableConfig, salt: string): ComparableConfig {
  const { backends, settings } = digestsOf(comparable, salt);
  const fields = Object.entries(backends).map(
    ([name, digests]) => [name, new Map(Object.entries(digests))] as const,
  );
  return { backends: new Map(fields), settings: new Map(Object.entries(settings)) };
}

function printPlan({ address, sessions, changes, isPartial }: Plan, { out }: Terminal): void {
  const say = (text: string): void => {
    for (const line of paragraph(oneLine(text), out.columns)) out.write(`${line}\n`);
  };
  if (changes.length === 0) say(`A reload of ${address} would change nothing.`);
  else {
    say(`A reload of ${address} (${count(sessions, "session")}) would do this:`);
    for (const change of changes) say(planLine(change));
  }
  if (isPartial) say(`note: ${PARTIAL_NOTE}`);
}

const PARTIAL_NOTE =
  "values of headers and variables that stand in the file itself were not compared; make them references to have them noticed";

function printJson(
  { problems, warnings }: Checked,
  plan: Plan | undefined,
  { out }: Terminal,
): void {
  const rows = [
    ...problems.map((problem) => ({ severity: "problem", ...problem })),
    ...warnings.map((warning) => ({ severity: "warning", ...warning })),
    ...(plan?.changes ?? []).map((change) => ({ severity: "change", ...change })),
  ];
  out.write(`${JSON.stringify(rows, undefined, 2)}\n`);
}

function print(path: string, { config, problems, warnings }: Checked, { out }: Terminal): void {
  const { red, yellow, green } = pc.createColors(out.hasColour);
  const say = (lead: string, paint: (text: string) => string, text: string): void => {
    const lines = paragraph(`${lead} ${text}`, out.columns).join("\n");
    out.write(`${paint(lead)}${lines.slice(lead.length)}\n`);
  };
  for (const text of describeProblems(problems)) say("problem", red, text);
  for (const text of describeProblems(warnings)) say("warning", yellow, text);
  if (config === undefined) say("✖", red, `${path} has ${count(problems.length, "problem")}.`);
  else say("✔", green, `${path} is valid: ${describe(config)}.`);
}

function describe({ backends, aggregation, operational }: VmcpConfig): string {
  const stdio = backends.filter(({ transport }) => transport === "stdio").length;
  const kinds = `${String(stdio)} stdio, ${String(backends.length - stdio)} HTTP`;
  const sessions = operational.sessionManagementV2 ? "on" : "off";
  return `${count(backends.length, "backend")} (${kinds}), names by ${aggregation.strategy}, sessionManagementV2 ${sessions}`;
}
