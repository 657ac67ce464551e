import { COMMANDS, type CommandSpec, type OptionSpec } from "./commands.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that teaches the shell every command, its options and the values that they may have. */
export function renderCompletion(shell: Shell): string {
  switch (shell) {
    case "bash":
      return renderBash();
    case "zsh":
      return renderZsh();
    case "fish":
      return renderFish();
    default:
      return shell satisfies never;
  }
}

const NAMES = [...COMMANDS.map(({ name }) => name), "help"];
const GLOBAL_OPTIONS = ["--help", "--version"];

function renderBash(): string {
  const cases = COMMANDS.map((command) => {
    const words = [...longOptions(command), "--help", ...argumentChoices(command)].join(" ");
    return `    ${command.name}) words="${words}"${completesFiles(command) ? " files=1" : ""} ;;`;
  });
  const values = COMMANDS.flatMap(({ options }) => options).flatMap(({ flags, choices }) =>
    choices === undefined ? [] : [`    ${longName(flags)}) words="${choices.join(" ")}" files= ;;`],
  );
  return `# bash completion for vmcp: source <(vmcp completion bash)
_vmcp() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words files=
  case "\${COMP_CWORD}:\${COMP_WORDS[1]}" in
    1:*) words="${[...NAMES, ...GLOBAL_OPTIONS].join(" ")}" ;;
  esac
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "\${COMP_WORDS[1]}" in
${cases.map((line) => `  ${line}`).join("\n")}
      help) words="${COMMANDS.map(({ name }) => name).join(" ")}" ;;
    esac
    case "$previous" in
${[...new Set(values)].map((line) => `  ${line}`).join("\n")}
      --config|-c|--from|--write|-w) words= files=1 ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ -n "$files" ]; then
    COMPREPLY+=($(compgen -f -- "$current"))
    compopt -o filenames 2>/dev/null
  fi
}
complete -F _vmcp vmcp
`;
}

function renderZsh(): string {
  const commands = COMMANDS.map(({ name, summary }) => `    '${name}:${quoteZsh(summary)}'`);
  const cases = COMMANDS.map((command) => {
    const options = command.options.flatMap((option) => zshOptions(option));
    const choices = argumentChoices(command);
    const args = [
      ...(choices.length > 0 ? [`'*:value:(${choices.join(" ")})'`] : []),
      ...(completesFiles(command) && choices.length === 0 ? ["'*:file:_files'"] : []),
      ...(completesFiles(command) && choices.length > 0 ? ["'1:file:_files'"] : []),
    ];
    const specs = ["'(- *)'{-h,--help}'[show help]'", ...options, ...args];
    return `    ${command.name}) _arguments ${specs.join(" \\\n      ")} ;;`;
  });
  return `#compdef vmcp
# zsh completion for vmcp: source <(vmcp completion zsh)
_vmcp() {
  local -a commands
  commands=(
${commands.join("\n")}
    'help:Show help for a command.'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$name" in
${cases.join("\n")}
    help) _describe command commands ;;
  esac
}
if [ "$funcstack[1]" = _vmcp ]; then _vmcp "$@"; else compdef _vmcp vmcp; fi
`;
}

function zshOptions({
  flags,
  description,
  isRepeatable,
  choices,
  completes,
}: OptionSpec): string[] {
  const names = flags.split(/[ ,]+/).filter((word) => word.startsWith("-"));
  const values = choices === undefined ? "" : `(${choices.join(" ")})`;
  const takes = flags.includes("<") ? `:value:${completes === "file" ? "_files" : values}` : "";
  return names.map((name) => {
    const star = isRepeatable === true ? "*" : "";
    return `'${star}${name}[${quoteZsh(description)}]${takes}'`;
  });
}

function renderFish(): string {
  const lines = COMMANDS.flatMap((command) => {
    const { name, summary, options } = command;
    const seen = `-n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c vmcp -n __fish_use_subcommand -a ${name} -d '${quoteFish(summary)}'`,
      ...options.map((option) => `complete -c vmcp ${seen} ${fishOption(option)}`),
      ...argumentChoices(command).map((choice) => `complete -c vmcp ${seen} -a ${choice}`),
      ...(completesFiles(command) ? [`complete -c vmcp ${seen} -F`] : []),
    ];
  });
  return `# fish completion for vmcp: vmcp completion fish | source
complete -c vmcp -f
complete -c vmcp -s h -l help -d 'show help'
complete -c vmcp -n __fish_use_subcommand -s V -l version -d 'print the version'
complete -c vmcp -n __fish_use_subcommand -a help -d 'Show help for a command.'
${lines.join("\n")}
`;
}

function fishOption({ flags, description, choices, completes }: OptionSpec): string {
  const short = /(?<=^-)[A-Za-z](?=,)/.exec(flags)?.[0];
  const parts = [
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${longName(flags).slice(2)}`,
    ...(flags.includes("<") ? ["-r"] : []),
    ...(completes === "file" ? ["-F"] : []),
    ...(choices === undefined ? [] : [`-a '${choices.join(" ")}'`]),
    `-d '${quoteFish(description)}'`,
  ];
  return parts.join(" ");
}

function longOptions({ options }: CommandSpec): readonly string[] {
  return options.map(({ flags }) => longName(flags));
}

function longName(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

function argumentChoices({ args }: CommandSpec): readonly string[] {
  return args.flatMap(({ choices }) => choices ?? []);
}

function completesFiles({ args }: CommandSpec): boolean {
  return args.some(({ completes }) => completes === "file");
}

/** Inside single quotes, where brackets and colons mean something to the completion system. */
function quoteZsh(text: string): string {
  return text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, (mark) => `\\${mark}`);
}

function quoteFish(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
}
