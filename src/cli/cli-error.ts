import type { ExitCode } from "./exit-codes.ts";

/** Ends a command: one sentence for the person at the terminal and the code to end with. Never reaches a client. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
