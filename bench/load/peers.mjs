import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../peers", import.meta.url));
/** Apart from the project's dependencies, none of which they may satisfy or replace. */
const PACKAGES = join(SOURCE, ".packages");
/** npm writes this one when everything else is in place. */
const COMPLETION_MARK = join(PACKAGES, "node_modules/.package-lock.json");

/** Installs the peers where they are missing or are not those of the lock file. No script of any of them runs. */
export function installPeers() {
  if (isInstalled()) return;
  console.error("installing the gateways of others (npm ci, 110 MB) …");
  mkdirSync(PACKAGES, { recursive: true });
  rmSync(COMPLETION_MARK, { force: true });
  for (const name of ["package.json", "package-lock.json"])
    copyFileSync(join(SOURCE, name), join(PACKAGES, name));
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = spawnSync("npm", [...args, "--engine-strict=false"], {
    cwd: PACKAGES,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (npm.status !== 0)
    throw new Error(`npm ci failed (${npm.error?.message ?? npm.status}) in ${PACKAGES}`);
}

/** The absolute path of a file in an installed peer. */
export function peerFile(path) {
  return join(PACKAGES, "node_modules", path);
}

function isInstalled() {
  const installed = join(PACKAGES, "package-lock.json");
  if (!existsSync(COMPLETION_MARK) || !existsSync(installed)) return false;
  return (
    readFileSync(join(SOURCE, "package-lock.json"), "utf8") === readFileSync(installed, "utf8")
  );
}
