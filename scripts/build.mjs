// Compiles src into dist and bundles the command line. The new build takes the old one's place only when it is complete, so that a program that runs
// from dist never meets half of one, and nothing of an older build stays behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const COMPILER = join(ROOT, "node_modules/typescript/bin/tsc");
const DIST = join(ROOT, "dist");
// Beside dist, so that source maps lead to the same files from both places.
const FRESH = join(ROOT, `.dist-${process.pid}`);
const STALE = `${FRESH}-old`;

process.exitCode = await build();

async function build() {
  if (!ensureInstalled()) return 1;
  try {
    if ((await compile()) !== 0) return 1;
    // Loaded here, because what it needs may just have been installed.
    const { bundle } = await import("./bundle.mjs");
    await bundle(FRESH);
    makeExecutable();
    replaceDist();
    return 0;
  } finally {
    rmSync(FRESH, { recursive: true, force: true });
    rmSync(STALE, { recursive: true, force: true });
  }
}

/** Returns the compiler's exit code. A signal that would end us ends the compiler, so that we still tidy up. */
async function compile() {
  const options = ["-p", "tsconfig.build.json", "--outDir", FRESH, "--noEmitOnError"];
  const compiler = spawn(process.execPath, [COMPILER, ...options], { cwd: ROOT, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => compiler.kill(signal));
  const [code] = await once(compiler, "exit");
  return code;
}

function makeExecutable() {
  const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const file of Object.values(bin)) {
    const built = join(FRESH, file.replace(/^\.\/dist\//, ""));
    if (existsSync(built)) chmodSync(built, 0o755);
  }
}

function replaceDist() {
  if (existsSync(DIST)) renameSync(DIST, STALE);
  renameSync(FRESH, DIST);
}
