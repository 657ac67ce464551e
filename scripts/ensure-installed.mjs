// Installs the dependencies where they are missing or are not the ones in package-lock.json. Says nothing when there is
// nothing to do. Runs before anything is installed, so it may use Node's own modules only.
import { spawnSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Runs `npm ci` where it is needed. Returns whether the dependencies are there now; if not, it has said why. */
export function ensureInstalled() {
  if (isInstalled()) return true;
  console.error("vmcp: installing dependencies (npm ci) …");
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: ROOT,
    // npm's own summary goes where our messages go, so that stdout stays the caller's.
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (npm.status === 0) return true;
  const cause = npm.error?.message ?? `exit code ${npm.status ?? npm.signal}`;
  console.error(
    `vmcp: npm ci failed (${cause}). It needs the npm registry and Node 20.19 or newer; this is Node ${process.versions.node}.`,
  );
  return false;
}

/** npm keeps a copy of what it installed inside node_modules: the lock file without what this system does not need. */
function isInstalled() {
  const wanted = readPackages("package-lock.json");
  const installed = readPackages("node_modules/.package-lock.json");
  if (wanted === undefined || installed === undefined) return false;
  const isSatisfied = ([path, entry]) => {
    const found = installed.get(path);
    return found === undefined ? entry.optional === true : isSame(found, entry);
  };
  return [...wanted].every(isSatisfied) && [...installed.keys()].every((path) => wanted.has(path));
}

/** A lock file may lack the integrity of what it was not made on; npm then learns it while installing. */
function isSame(found, wanted) {
  const { version, integrity = found.integrity } = wanted;
  return found.version === version && found.integrity === integrity;
}

function readPackages(name) {
  try {
    const { packages } = JSON.parse(readFileSync(join(ROOT, name), "utf8"));
    // The empty path is the project itself.
    return new Map(Object.entries(packages).filter(([path]) => path !== ""));
  } catch {
    return undefined;
  }
}

const isMain = process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isMain && !ensureInstalled()) process.exitCode = 1;
