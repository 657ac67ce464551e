import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import {
  findClientConfigs,
  type ClientConfigFile,
} from "../../config/clients/find-client-configs.ts";
import {
  importClientConfigs,
  type ImportedConfig,
} from "../../config/clients/import-client-configs.ts";
import { renderConfigYaml } from "../../config/clients/render-config-yaml.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { requireReadable } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import type { Terminal } from "../terminal.ts";
import { count, oneLine } from "../text.ts";
import { writeNewFile } from "../write-new-file.ts";

/** Merges the configurations of MCP clients into one; runs nothing of them. */
export const importConfigs: CommandAction = async ({ flags, terminal }) => {
  const files = filesToRead(flags.texts("from"), terminal);
  const { home, cwd } = terminal;
  const imported = importClientConfigs(files, { home, cwd });
  report(files, imported, terminal);
  if (backendCount(imported) === 0) {
    throw new CliError(
      EXIT.noInput,
      "No MCP server was found to import: name a file with --from, or start with `vmcp init`.",
    );
  }
  const yaml = renderConfigYaml(imported.input, imported.variables);
  const target = flags.text("write");
  if (target === undefined) {
    terminal.out.write(yaml);
    return EXIT.ok;
  }
  writeNewFile(resolve(cwd, target), yaml, flags.isSet("force"));
  terminal.err.write(`Wrote ${target}. Start it with: vmcp serve ${target}\n`);
  return EXIT.ok;
};

function filesToRead(named: readonly string[], terminal: Terminal): readonly ClientConfigFile[] {
  if (named.length === 0) return findClientConfigs({ ...terminal, exists: existsSync });
  return named.map((name) => {
    const path = resolve(terminal.cwd, name);
    requireReadable(path, name);
    // Only one client means something else by the same fields, and it keeps them in a folder of its own.
    const isGemini = basename(dirname(path)) === ".gemini";
    return { host: isGemini ? "gemini-cli" : "claude-code", path };
  });
}

/** On standard error, so that what is printed can be piped into a file. */
function report(
  files: readonly ClientConfigFile[],
  { variables, warnings, ...imported }: ImportedConfig,
  { err }: Terminal,
): void {
  for (const { path } of files) err.write(`read ${oneLine(path)}\n`);
  for (const line of describeProblems(warnings)) err.write(`warning ${line}\n`);
  const found = count(backendCount({ variables, warnings, ...imported }), "backend");
  err.write(`${found} from ${count(files.length, "file")}\n`);
  if (variables.length > 0) err.write("Set these variables before the start:\n");
  for (const { name, usedBy } of variables) err.write(`  ${name}  (${oneLine(usedBy)})\n`);
}

function backendCount({ input }: ImportedConfig): number {
  const { backends } = input;
  return Array.isArray(backends) ? backends.length : 0;
}
