import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one command line, without the program's own name, and resolves with its exit code. Never rejects. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { parseCommandLine } = await import("./program.ts");
    const command = parseCommandLine(argv, terminal);
    return command === undefined ? EXIT.ok : await command();
  } catch (error) {
    if (error instanceof CliError && error.message === "") return error.exitCode;
    const { reportFailure } = await import("./failures.ts");
    return reportFailure(error, terminal);
  }
}
