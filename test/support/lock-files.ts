import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { onTestFinished } from "vitest";
import { parseCommandLine } from "../../src/cli/program.ts";
import { fakeTerminal } from "./fake-terminal.ts";

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of a lock file that is not there yet, in a folder of its own that goes when the test ends. */
export function lockFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-lock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "vmcp.lock.json");
}

/** Runs a command of `vmcp` in this process. Rejects as the command does where it fails. */
export async function runCommand(
  argv: readonly string[],
  cwd = process.cwd(),
): Promise<CommandResult> {
  const terminal = fakeTerminal({ cwd });
  const command = parseCommandLine(argv, terminal);
  const code = (await command?.()) ?? 0;
  return { code, stdout: terminal.out.text, stderr: terminal.err.text };
}

/** Writes down what these backends offer now, by their names and URLs. */
export async function lockBackends(
  path: string,
  backends: Readonly<Record<string, { readonly url: string }>>,
): Promise<CommandResult> {
  return runCommand(["lock", ...backendFlags(backends), "--output", path]);
}

/** Compares what these backends offer now with a lock file. */
export async function checkBackends(
  path: string,
  backends: Readonly<Record<string, { readonly url: string }>>,
  ...more: readonly string[]
): Promise<CommandResult> {
  return runCommand(["check", ...backendFlags(backends), "--lock", path, ...more]);
}

function backendFlags(
  backends: Readonly<Record<string, { readonly url: string }>>,
): readonly string[] {
  return Object.entries(backends).flatMap(([name, { url }]) => ["--backend", `${name}=${url}`]);
}
