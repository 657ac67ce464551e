import pc from "picocolors";
import { loadConfig } from "../../config/load-config.ts";
import { ConfigError, type ConfigProblem } from "../../config/problems.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { configFile } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Terminal } from "../terminal.ts";
import { count, paragraph } from "../text.ts";

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
  if (flags.isSet("json")) printJson(checked, terminal);
  else print(path, checked, terminal);
  return checked.config === undefined ? EXIT.config : EXIT.ok;
};

function check(path: string, { env, cwd }: Terminal): Checked {
  try {
    const { config, warnings } = loadConfig({ path, env, cwd });
    return { config, problems: [], warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { config: undefined, problems: error.problems, warnings: [] };
  }
}

function printJson({ problems, warnings }: Checked, { out }: Terminal): void {
  const rows = [
    ...problems.map((problem) => ({ severity: "problem", ...problem })),
    ...warnings.map((warning) => ({ severity: "warning", ...warning })),
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
