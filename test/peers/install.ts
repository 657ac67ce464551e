import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { PACKAGES_FOLDER } from "./packages.ts";

const MANIFEST = fileURLToPath(new URL("package.json", import.meta.url));
const LOCK = fileURLToPath(new URL("package-lock.json", import.meta.url));
const INSTALLED_LOCK = join(PACKAGES_FOLDER, "package-lock.json");
/** npm writes this one when everything else is in place. */
const COMPLETION_MARK = join(PACKAGES_FOLDER, "node_modules/.package-lock.json");

/**
 * Installs the peers where they are missing or are not those of the lock file. Named in the test runner's
 * `globalSetup`. No script of any of these packages runs: what the tests start works without.
 */
export function setup(): void {
  if (isInstalled()) return;
  console.error("vmcp: installing the peers that the tests run (npm ci, 1.1 GB) …");
  mkdirSync(PACKAGES_FOLDER, { recursive: true });
  rmSync(COMPLETION_MARK, { force: true });
  copyFileSync(MANIFEST, join(PACKAGES_FOLDER, "package.json"));
  copyFileSync(LOCK, INSTALLED_LOCK);
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  // Some of them ask for a newer Node than they need, which npm would refuse if the project's own setting held here.
  const npm = spawnSync("npm", [...args, "--engine-strict=false"], {
    cwd: PACKAGES_FOLDER,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) {
    throw new Error(`npm ci failed (${npm.error?.message ?? npm.status}) in ${PACKAGES_FOLDER}`);
  }
}

function isInstalled(): boolean {
  if (!existsSync(COMPLETION_MARK) || !existsSync(INSTALLED_LOCK)) return false;
  return readFileSync(LOCK, "utf8") === readFileSync(INSTALLED_LOCK, "utf8");
}
