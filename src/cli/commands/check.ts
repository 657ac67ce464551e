import pc from "picocolors";
import { compareLocks, type Difference } from "../../pinning/compare-locks.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { useConfig } from "../config-source.ts";
import { printDifferences } from "../difference-lines.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import type { FailedBackend } from "../local-session.ts";
import { lockPath, readLock, shownPath, takeLock } from "../locking.ts";
import type { Output } from "../terminal.ts";
import { count, oneLine, paragraph } from "../text.ts";

interface Checked {
  readonly lockFile: string;
  readonly differences: readonly Difference[];
  /** Of these it is not known whether they differ. */
  readonly failed: readonly FailedBackend[];
}

/** Says how what the backends offer differs from the lock file. Writes nothing. */
export const check: CommandAction = async ({ args, flags, terminal }) => {
  const { out, err } = terminal;
  const used = useConfig({ file: args[0], backends: flags.texts("backend") }, terminal);
  for (const line of describeProblems(used.warnings)) err.write(`warning ${line}\n`);
  const path = lockPath(flags.text("lock"), used.config, terminal);
  const locked = readLock(path, terminal);
  const { lock, failed } = await takeLock(used.config);
  const missing = new Set(failed.map(({ name }) => name));
  const known = new Map([...locked].filter(([name]) => !missing.has(name)));
  const differences = compareLocks(known, lock);
  const checked = { lockFile: shownPath(path, terminal), differences, failed };
  if (flags.isSet("json")) out.write(toJson(checked));
  else print(checked, out);
  return exitCode(checked);
};

function exitCode({ differences, failed }: Checked): ExitCode {
  if (differences.length > 0) return EXIT.differs;
  return failed.length > 0 ? EXIT.unavailable : EXIT.ok;
}

function toJson({ lockFile, differences, failed }: Checked): string {
  const rows = differences.map(({ isWarning, ...difference }) => ({
    severity: isWarning ? "warning" : "notice",
    ...difference,
  }));
  return `${JSON.stringify({ lockFile, differences: rows, failed }, undefined, 2)}\n`;
}

function print({ lockFile, differences, failed }: Checked, out: Output): void {
  const { red, green, yellow } = pc.createColors(out.hasColour);
  printDifferences(differences, out);
  for (const { reason } of failed) {
    const lines = paragraph(`failed ${oneLine(reason)}`, out.columns).join("\n");
    out.write(`${red("failed")}${lines.slice("failed".length)}\n`);
  }
  if (differences.length > 0) {
    const advice = "look at them, and accept them with `vmcp lock`";
    const amount = count(differences.length, "difference");
    out.write(`${yellow("✖")} ${amount} from ${lockFile}: ${advice}.\n`);
  } else if (failed.length === 0) {
    out.write(`${green("✔")} Everything is as in ${lockFile}.\n`);
  } else {
    out.write(`${red("✖")} ${count(failed.length, "backend")} could not be checked.\n`);
  }
}
