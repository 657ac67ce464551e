import { renameSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import pc from "picocolors";
import { messageOf, VmcpError } from "../../domain/errors.ts";
import { compareLocks } from "../../pinning/compare-locks.ts";
import type { Lock } from "../../pinning/lock.ts";
import { renderLock } from "../../pinning/lock-file.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { useConfig } from "../config-source.ts";
import { printDifferences } from "../difference-lines.ts";
import { EXIT } from "../exit-codes.ts";
import { lockPath, readLock, shownPath, takeLock } from "../locking.ts";
import type { Terminal } from "../terminal.ts";
import { count, oneLine } from "../text.ts";

/** Writes down what every backend offers, and shows what is accepted by that. Writes nothing where one is missing. */
export const lock: CommandAction = async ({ args, flags, terminal }) => {
  const { out, err } = terminal;
  const used = useConfig({ file: args[0], backends: flags.texts("backend") }, terminal);
  for (const line of describeProblems(used.warnings)) err.write(`warning ${line}\n`);
  const path = lockPath(flags.text("output"), used.config, terminal);
  const taken = await takeLock(used.config);
  if (taken.failed.length > 0) {
    for (const { reason } of taken.failed) err.write(`${oneLine(reason)}\n`);
    throw new CliError(
      EXIT.unavailable,
      `${count(taken.failed.length, "backend")} failed, so nothing was written: a lock file holds all of them.`,
    );
  }
  const before = previousLock(path, terminal);
  if (before !== undefined) printDifferences(compareLocks(before, taken.lock), out);
  replaceFile(path, renderLock(taken.lock));
  const { green } = pc.createColors(out.hasColour);
  out.write(`${green("✔")} ${shownPath(path, terminal)} holds ${describe(taken.lock)}.\n`);
  return EXIT.ok;
};

/** Undefined where there is none that could be compared: it is about to be replaced. */
function previousLock(path: string, terminal: Terminal): Lock | undefined {
  try {
    return readLock(path, terminal);
  } catch (error) {
    if (error instanceof VmcpError || error instanceof CliError) return undefined;
    throw error;
  }
}

function describe(taken: Lock): string {
  const total = { tool: 0, prompt: 0, resourceTemplate: 0 };
  for (const { entries } of taken.values()) {
    total.tool += entries.tool.size;
    total.prompt += entries.prompt.size;
    total.resourceTemplate += entries.resourceTemplate.size;
  }
  const kinds = [
    count(total.tool, "tool"),
    count(total.prompt, "prompt"),
    count(total.resourceTemplate, "resource template"),
  ];
  return `${kinds.join(", ")} of ${count(taken.size, "backend")}`;
}

/** Whoever reads the file meanwhile, a gateway that runs for example, sees the old one or the new one whole. */
function replaceFile(path: string, text: string): void {
  const draft = `${path}.${String(process.pid)}.tmp`;
  try {
    writeFileSync(draft, text, { flag: "wx" });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new CliError(EXIT.inputOutput, `${path} cannot be written: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}
