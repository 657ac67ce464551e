import pc from "picocolors";
import { ConfigError } from "../config/problems.ts";
import { VmcpError } from "../domain/errors.ts";
import { CliError } from "./cli-error.ts";
import { describeProblems } from "./config-problems.ts";
import { EXIT, EXIT_CODE_OF, type ExitCode } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine } from "./text.ts";

/** Says on standard error what ended the command, in a sentence, and returns the code to end with. */
export function reportFailure(thrown: unknown, terminal: Terminal): ExitCode {
  const { err } = terminal;
  const { red } = pc.createColors(err.hasColour);
  const { exitCode, lines } = describeFailure(thrown);
  const [first = "", ...rest] = lines;
  err.write(`${red("vmcp:")} ${first}\n${rest.map((line) => `${line}\n`).join("")}`);
  if (terminal.env["VMCP_DEBUG"] && thrown instanceof Error) err.write(`${String(thrown.stack)}\n`);
  return exitCode;
}

interface Failure {
  readonly exitCode: ExitCode;
  /** At least one. */
  readonly lines: readonly string[];
}

function describeFailure(thrown: unknown): Failure {
  if (thrown instanceof ConfigError) {
    const [only, ...others] = describeProblems(thrown.problems);
    if (only !== undefined && others.length === 0) return { exitCode: EXIT.config, lines: [only] };
    const head = `${String(thrown.problems.length)} problems in the configuration:`;
    const lines = describeProblems(thrown.problems).map((line) => `  ${line}`);
    return { exitCode: EXIT.config, lines: [head, ...lines] };
  }
  if (thrown instanceof CliError) return { exitCode: thrown.exitCode, lines: [thrown.message] };
  if (thrown instanceof VmcpError && thrown.code !== "internal") {
    return { exitCode: EXIT_CODE_OF[thrown.code], lines: [asSentence(thrown.message)] };
  }
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  const line = `A fault of vmcp itself: ${asSentence(what)} Run again with VMCP_DEBUG=1 to see where.`;
  return { exitCode: EXIT.internal, lines: [line] };
}

function asSentence(text: string): string {
  const line = oneLine(text);
  return /[.?!]$/.test(line) ? line : `${line}.`;
}
