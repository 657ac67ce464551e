import { COMMANDS, type ArgumentSpec, type CommandSpec, type OptionSpec } from "./commands.ts";
import { EXIT_CODE_ROWS } from "./exit-codes.ts";
import { widthOf } from "./text.ts";

/** The reference page of the command line, as Markdown. */
export function renderCliReference(): string {
  return `# Command line

Generated from the table of commands; do not edit. The exit codes are in [exit-codes.md](exit-codes.md).

\`vmcp --version\` prints the version and \`vmcp help COMMAND\` the help of a command. Colours are left out where the output
is not a terminal or \`NO_COLOR\` is set. \`VMCP_DEBUG=1\` adds to an error where it happened.

${COMMANDS.map(renderCommand).join("\n")}`;
}

/** The reference page of the exit codes, as Markdown. */
export function renderExitCodes(): string {
  const rows = EXIT_CODE_ROWS.map(([code, meaning]) => [String(code), meaning] as const);
  return `# Exit codes

Generated from the table of exit codes; do not edit. Whatever ends a command with another code than 0 or 1 is said in one
sentence on standard error, except for a configuration, of which every problem gets a line.

${markdownTable([["code", "meaning"], ...rows])}
`;
}

function renderCommand({ name, summary, details, args, options, examples }: CommandSpec): string {
  const usage = ["vmcp", name, ...(options.length > 0 ? ["[OPTIONS]"] : []), ...args.map(nameOf)];
  const parts = [
    `## vmcp ${name}`,
    `\`${usage.join(" ")}\``,
    details === undefined ? summary : `${summary} ${details}`,
    renderRows("argument", args.map(argumentRow)),
    renderRows("option", options.map(optionRow)),
    examples.length === 0 ? "" : `\`\`\`sh\n${examples.join("\n")}\n\`\`\``,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

type Row = readonly [name: string, meaning: string];

function renderRows(head: string, rows: readonly Row[]): string {
  return rows.length === 0 ? "" : markdownTable([[head, "meaning"], ...rows]);
}

function argumentRow({ name, description, choices }: ArgumentSpec): Row {
  return [`\`${name}\``, `${description}${oneOf(choices)}`];
}

function optionRow({ flags, description, isRepeatable, choices }: OptionSpec): Row {
  const repeat = isRepeatable === true ? " May be repeated." : "";
  return [`\`${flags}\``, `${description}${oneOf(choices)}${repeat}`];
}

/** Padded as the formatter would do it; the first row is the head. */
function markdownTable([head, ...rows]: readonly [Row, ...Row[]]): string {
  const all = [head, ...rows];
  const widths = [0, 1].map((column) => Math.max(...all.map((row) => widthOf(row[column] ?? ""))));
  const toLine = (cells: readonly string[]): string => {
    const padded = cells.map(
      (cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width) => "-".repeat(width));
  return [toLine(head), toLine(rule), ...rows.map(toLine)].join("\n");
}

function oneOf(choices: readonly string[] | undefined): string {
  return choices === undefined ? "" : ` One of ${choices.map((word) => `\`${word}\``).join(", ")}.`;
}

function nameOf({ name }: ArgumentSpec): string {
  return name;
}
