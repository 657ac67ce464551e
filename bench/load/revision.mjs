import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { FOLDER, pathOf } from "./processes.mjs";

const ROOT = pathOf("../..");

/**
 * Builds a revision of the project in a temporary folder with dependencies of its own, and gives `{name, cli}`.
 *
 * The files are taken out of git rather than checked out in a worktree: a run that is killed leaves nothing behind that
 * the repository would remember.
 */
export function buildRevision(name, say) {
  const id = idOf(name);
  const folder = join(FOLDER, `revision-${id}`);
  mkdirSync(folder);
  say(`building ${name} (${id}) …`);
  const archive = join(FOLDER, `${id}.tar`);
  run("git", ["archive", "--format=tar", "--output", archive, id], ROOT);
  run("tar", ["-xf", archive], folder);
  // No script of a dependency runs: nothing that is needed to build and serve has one.
  run(
    "npm",
    ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"],
    folder,
  );
  run("npm", ["run", "--silent", "build"], folder);
  return { name: name === id ? name : `${name} (${id})`, cli: join(folder, "dist/cli/bin.js") };
}

function idOf(name) {
  try {
    return run("git", ["rev-parse", "--short", "--verify", `${name}^{commit}`], ROOT).trim();
  } catch (cause) {
    throw new Error(`--compare ${name}: no such revision here`, { cause });
  }
}

function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    // npm is a script there.
    shell: process.platform === "win32" && command === "npm",
  });
  if (status === 0) return stdout;
  const why = error?.message ?? stderr.slice(-1_000);
  throw new Error(`${command} ${args[0]} failed (${status}): ${why}`);
}
