import type { Terminal } from "./terminal.ts";
import type { Flags } from "./flags.ts";

/** An option as the command line, the help, the reference page and the completions show it. */
export interface OptionSpec {
  /** As in `-p, --port <PORT>`; a value in `<>` is required. */
  readonly flags: string;
  readonly description: string;
  /** May be given more than once. */
  readonly isRepeatable?: boolean;
  readonly choices?: readonly string[];
  /** What completions offer for the value. */
  readonly completes?: "file";
}

export interface ArgumentSpec {
  /** As in `[FILE]`, `<TOOL>` or `[ARGUMENT...]`. */
  readonly name: string;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly completes?: "file";
}

/** What a command is given; resolves with the exit code. */
export type CommandAction = (input: CommandInput) => Promise<number>;

interface CommandInput {
  /** In their order; one that was left out is absent. */
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly terminal: Terminal;
}

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** What the help says below the summary. */
  readonly details?: string;
  readonly args: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** Loads the command's own code, so that no other command waits for it. */
  readonly load: () => Promise<CommandAction>;
}

const FILE: ArgumentSpec = {
  name: "[FILE]",
  description:
    "A vmcp or ToolHive configuration (YAML, JSON), or the configuration of an MCP client. Default: vmcp.yaml, vmcp.yml, vmcp.json or .mcp.json of the current folder.",
  completes: "file",
};

const BACKEND: OptionSpec = {
  flags: "-b, --backend <NAME=TARGET>",
  description:
    "A backend in place of a file: NAME=URL, or 'NAME=COMMAND ARG…' (quoted; no shell runs it).",
  isRepeatable: true,
};

const JSON_OUTPUT: OptionSpec = { flags: "--json", description: "Print JSON for programs." };

const FORCE: OptionSpec = { flags: "-f, --force", description: "Overwrite a file that is there." };

/** Every command, in the order of the help. Help, reference page and completions are made from this. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "serve",
    summary: "Serve all backends as one MCP endpoint.",
    details:
      "Runs until SIGINT or SIGTERM, which lets calls in flight finish; a second signal ends it at once. " +
      "The file is watched, and a change of it takes effect while clients stay connected; SIGHUP reads it again too, " +
      "except on a terminal, where it stops as the others do, because it means that the terminal was closed. " +
      "A backend that cannot be reached does not stop the others. On a terminal, logs are short lines from `warn` up; " +
      "otherwise they are JSON on standard error. With --stdio it serves the one client that started it, until that " +
      "closes standard input; everything else that there is to say goes to standard error.",
    args: [FILE],
    options: [
      BACKEND,
      {
        flags: "--stdio",
        description:
          "Serve one client over standard input and output, and open no port; for clients that start their servers.",
      },
      { flags: "--host <HOST>", description: "Address to listen on, in place of server.host." },
      {
        flags: "-p, --port <PORT>",
        description: "Port to listen on, in place of server.port; 0 takes a free one.",
      },
      { flags: "--path <PATH>", description: "Path of the endpoint, in place of server.path." },
      {
        flags: "--workers <COUNT>",
        description:
          "Processes that share the sessions, 1 to 64, in place of server.workers; auto is one per core.",
      },
      {
        flags: "--log-level <LEVEL>",
        description: "What to log, in place of operational.logLevel.",
        choices: ["debug", "info", "warn", "error", "silent"],
      },
      {
        flags: "--allow-insecure-anonymous",
        description:
          "Serve clients without authentication also on an address that is not loopback.",
      },
      {
        flags: "--no-watch",
        description:
          "Leave the configuration as it is when its file changes; SIGHUP still reads it.",
      },
      {
        flags: "--json",
        description: "Print one JSON object per line: listening, backend, ready and so on.",
      },
    ],
    examples: [
      "vmcp serve vmcp.yaml",
      "vmcp serve ~/.cursor/mcp.json --port 8080",
      "vmcp serve vmcp.yaml --stdio",
      "vmcp serve --backend docs=https://example.com/mcp --backend 'files=npx -y @modelcontextprotocol/server-filesystem .'",
    ],
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  {
    name: "list",
    summary: "Show what clients will see.",
    details: "Connects to every backend, prints their tools, prompts and resources, and ends.",
    args: [
      FILE,
      {
        name: "[KIND]",
        description: "Only this kind; default all.",
        choices: ["tools", "prompts", "resources"],
      },
    ],
    options: [BACKEND, JSON_OUTPUT],
    examples: ["vmcp list", "vmcp list vmcp.yaml tools", "vmcp list --json | jq '.tools[].name'"],
    load: async () => (await import("./commands/list.ts")).list,
  },
  {
    name: "call",
    summary: "Call one tool.",
    details:
      "Arguments are one JSON object, `-` for JSON on standard input, or KEY=VALUE pairs, whose values are read as " +
      "the tool's schema says. The exit code is 1 if the tool says that it failed.",
    args: [
      { name: "<TOOL>", description: "The tool's name, as `vmcp list` shows it." },
      { name: "[ARGUMENTS...]", description: "A JSON object, `-`, or KEY=VALUE pairs." },
    ],
    options: [
      {
        flags: "-c, --config <FILE>",
        description: "The configuration; default as for `serve`.",
        completes: "file",
      },
      BACKEND,
      { flags: "--json", description: "Print the whole result as JSON." },
    ],
    examples: [
      "vmcp call memory_read_graph",
      "vmcp call everything_echo message=hello",
      `vmcp call everything_get-sum '{"a":1,"b":2}' --json`,
    ],
    load: async () => (await import("./commands/call.ts")).call,
  },
  {
    name: "validate",
    summary: "Check a configuration and list every problem.",
    details:
      "With --against it also asks the gateway that runs there, on this machine, what a reload would change, and " +
      "changes nothing. Values of headers and variables that stand in the file itself are not compared.",
    args: [FILE],
    options: [
      {
        flags: "--against <URL>",
        description: "The address of a running gateway whose reload to plan.",
      },
      JSON_OUTPUT,
    ],
    examples: [
      "vmcp validate",
      "vmcp validate vmcp.yaml --json",
      "vmcp validate vmcp.yaml --against http://127.0.0.1:4483",
    ],
    load: async () => (await import("./commands/validate.ts")).validate,
  },
  {
    name: "lock",
    summary: "Write down what the backends offer, to notice when that changes.",
    details:
      "Starts every backend, lists its tools, prompts and resource templates, and writes them to a lock file, which " +
      "belongs under version control. Where there is one already, it shows what changes. With `pinning` in the configuration " +
      "the gateway holds its backends to that file.",
    args: [FILE],
    options: [
      BACKEND,
      {
        flags: "-o, --output <FILE>",
        description:
          "Where to write it, in place of lockFile of the configuration, by default vmcp.lock.json beside it.",
        completes: "file",
      },
    ],
    examples: ["vmcp lock", "vmcp lock vmcp.yaml --output locks/vmcp.json"],
    load: async () => (await import("./commands/lock.ts")).lock,
  },
  {
    name: "check",
    summary: "Show how what the backends offer differs from the lock file.",
    details:
      "Starts every backend and compares what it lists with the lock file: what came and went, which words changed, which " +
      "schemas take more or less than before, which hints turned round. Characters that would not be seen are shown as " +
      "escapes. The exit code is 0 if nothing differs, 1 if something does, and 69 if that is not known of every backend.",
    args: [FILE],
    options: [
      BACKEND,
      {
        flags: "-l, --lock <FILE>",
        description: "The lock file, in place of lockFile of the configuration.",
        completes: "file",
      },
      JSON_OUTPUT,
    ],
    examples: [
      "vmcp check",
      "vmcp check vmcp.yaml --json | jq '.differences[] | select(.severity==\"warning\")'",
    ],
    load: async () => (await import("./commands/check.ts")).check,
  },
  {
    name: "init",
    summary: "Write a small configuration to start from.",
    args: [
      { name: "[FILE]", description: "Where to write it. Default: vmcp.yaml.", completes: "file" },
    ],
    options: [FORCE],
    examples: ["vmcp init && vmcp serve"],
    load: async () => (await import("./commands/init.ts")).init,
  },
  {
    name: "import",
    summary: "Make a configuration of what your MCP clients have.",
    details:
      "Reads the configurations of Claude Code, Claude Desktop, Cursor, VS Code, Gemini CLI, opencode, Codex, Windsurf and Zed, " +
      "and prints one for vmcp. Secrets become references to environment variables. Nothing of them is run.",
    args: [],
    options: [
      {
        flags: "--from <FILE>",
        description: "Read this file in place of the known ones.",
        isRepeatable: true,
        completes: "file",
      },
      {
        flags: "-w, --write <FILE>",
        description: "Write there in place of printing.",
        completes: "file",
      },
      FORCE,
    ],
    examples: ["vmcp import", "vmcp import --write vmcp.yaml"],
    load: async () => (await import("./commands/import.ts")).importConfigs,
  },
  {
    name: "completion",
    summary: "Print a completion script for your shell.",
    args: [
      {
        name: "<SHELL>",
        description: "Whose script to print.",
        choices: ["bash", "zsh", "fish"],
      },
    ],
    options: [],
    examples: ["source <(vmcp completion bash)", "vmcp completion fish | source"],
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  {
    name: "version",
    summary: "Print the version; the same as --version.",
    args: [],
    options: [],
    examples: [],
    load: async () => (await import("./commands/version.ts")).version,
  },
];
