import { CliError } from "./cli-error.ts";
import { packageVersion } from "../app/version.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** Answered before anything else is loaded, because scripts ask often. */
const VERSION_WORDS: ReadonlySet<string> = new Set(["--version", "-V", "version"]);

/** Runs one command line, without the program's own name, and resolves with its exit code. Never rejects. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    if (argv.length === 1 && VERSION_WORDS.has(argv[0] ?? "")) return printVersion(terminal);
    const { parseCommandLine } = await import("./program.ts");
    const command = parseCommandLine(argv, terminal);
    return command === undefined ? EXIT.ok : await command();
  } catch (error) {
    if (error instanceof CliError && error.message === "") return error.exitCode;
    const { reportFailure } = await import("./failures.ts");
    return reportFailure(error, terminal);
  }
}

function printVersion({ out }: Terminal): number {
  out.write(`${packageVersion()}\n`);
  return EXIT.ok;
}
