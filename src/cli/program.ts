import { Argument, Command, CommanderError, Option } from "commander";
import { CliError } from "./cli-error.ts";
import { COMMANDS, type CommandSpec, type OptionSpec } from "./commands.ts";
import { EXIT } from "./exit-codes.ts";
import { Flags } from "./flags.ts";
import { packageVersion } from "../app/version.ts";
import type { Terminal } from "./terminal.ts";

/** What is left to do once the command line is understood; undefined where it asked for help or the version. */
export type ParsedCommand = () => Promise<number>;

const HELP_COLUMNS = 100;

/** Reads a command line without the program's own name. Throws `CliError` where it is wrong. */
export function parseCommandLine(
  argv: readonly string[],
  terminal: Terminal,
): ParsedCommand | undefined {
  let parsed: ParsedCommand | undefined;
  const program = createProgram(terminal, (command) => {
    parsed = command;
  });
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === EXIT.ok) return undefined;
    // Without a command the help was shown, but nothing was done.
    const message = error.code === "commander.help" ? "" : asSentence(error.message);
    throw new CliError(EXIT.usage, message, { cause: error });
  }
  return parsed;
}

function createProgram(terminal: Terminal, found: (command: ParsedCommand) => void): Command {
  const program = new Command("vmcp")
    .description("One MCP endpoint in front of many MCP servers, with a live session per client.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [COMMAND]", "Show help for a command.")
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      getOutHelpWidth: () => Math.min(terminal.out.columns, HELP_COLUMNS),
      getErrHelpWidth: () => Math.min(terminal.err.columns, HELP_COLUMNS),
      getOutHasColors: () => terminal.out.hasColour,
      getErrHasColors: () => terminal.err.hasColour,
      // The message is thrown too, and whoever catches it says it.
      outputError: () => {},
    });
  for (const spec of COMMANDS) program.addCommand(createCommand(spec, program, terminal, found));
  return program;
}

function createCommand(
  spec: CommandSpec,
  program: Command,
  terminal: Terminal,
  found: (command: ParsedCommand) => void,
): Command {
  const command = new Command(spec.name)
    .copyInheritedSettings(program)
    .summary(spec.summary)
    .description(spec.details === undefined ? spec.summary : `${spec.summary}\n\n${spec.details}`)
    .helpOption("-h, --help", "show help");
  for (const { name, description } of spec.args) {
    command.addArgument(new Argument(name, description));
  }
  for (const option of spec.options) command.addOption(createOption(option));
  if (spec.examples.length > 0) {
    command.addHelpText(
      "after",
      `\nExamples:\n${spec.examples.map((line) => `  ${line}`).join("\n")}`,
    );
  }
  return command.action(() => {
    const args = command.args;
    const flags = new Flags(readOptions(command));
    found(async () => (await spec.load())({ args, flags, terminal }));
  });
}

function createOption({ flags, description, isRepeatable, choices }: OptionSpec): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  if (isRepeatable === true) {
    // The first time there is nothing before.
    option.argParser((value: string, before: unknown) => [
      ...(Array.isArray(before) ? before.map(String) : []),
      value,
    ]);
  }
  return option;
}

function readOptions(command: Command): ReadonlyMap<string, unknown> {
  return new Map(
    command.options.map((option) => {
      const value: unknown = command.getOptionValue(option.attributeName());
      // `--no-x` is kept as an `x` that is true unless it is given.
      return [
        option.long?.replace(/^--/, "") ?? option.name(),
        option.negate ? value === false : value,
      ];
    }),
  );
}

/** `error: unknown command 'serv'\n(Did you mean serve?)` → one line that ends like a sentence. */
function asSentence(message: string): string {
  const text = message
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
  return `${text}${/[.?!)]$/.test(text) ? "" : "."}`;
}
