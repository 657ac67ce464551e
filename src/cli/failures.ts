import pc from "picocolors";
import { ConfigError } from "../config/problems.ts";
import { VmcpError } from "../domain/errors.ts";
import { CliError } from "./cli-error.ts";
import { describeProblems } from "./config-problems.ts";
import { EXIT, EXIT_CODE_OF, type ExitCode } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, paragraph } from "./text.ts";

const LEAD = "vmcp:";

/** Says on standard error what ended the command, in a sentence, and returns the code to end with. */
export function reportFailure(thrown: unknown, terminal: Terminal): ExitCode {
  const { err } = terminal;
  const { red } = pc.createColors(err.hasColour);
  const { exitCode, paragraphs } = describeFailure(thrown);
  const [first = "", ...rest] = paragraphs.flatMap((text, index) =>
    paragraph(index === 0 ? `${LEAD} ${text}` : text, err.columns),
  );
  err.write(`${red(LEAD)}${first.slice(LEAD.length)}\n`);
  for (const line of rest) err.write(`${line}\n`);
  if (terminal.env["VMCP_DEBUG"] && thrown instanceof Error) err.write(`${String(thrown.stack)}\n`);
  return exitCode;
}

interface Failure {
  readonly exitCode: ExitCode;
  /** One line each where nobody looks; at least one. */
  readonly paragraphs: readonly string[];
}

function describeFailure(thrown: unknown): Failure {
  if (thrown instanceof ConfigError) {
    const problems = describeProblems(thrown.problems);
    const head = `${String(problems.length)} problems in the configuration:`;
    return {
      exitCode: EXIT.config,
      paragraphs: problems.length === 1 ? problems : [head, ...problems],
    };
  }
  if (thrown instanceof CliError)
    return { exitCode: thrown.exitCode, paragraphs: [thrown.message] };
  if (thrown instanceof VmcpError && thrown.code !== "internal") {
    return { exitCode: EXIT_CODE_OF[thrown.code], paragraphs: [asSentence(thrown.message)] };
  }
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  const line = `A fault of vmcp itself: ${asSentence(what)} Run again with VMCP_DEBUG=1 to see where.`;
  return { exitCode: EXIT.internal, paragraphs: [line] };
}

function asSentence(text: string): string {
  const line = oneLine(text);
  return /[.?!]$/.test(line) ? line : `${line}.`;
}
