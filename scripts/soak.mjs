// Runs the soak on a copy of the build, so that a build made meanwhile does not disturb it.
//   npm run soak -- [--minutes 60] [--seed 1] [--churn 1] [--fault-every 20] [--fault-lasts 6] [--warmup 300] [--sample-every 20] [--only REGEX]
// `--churn` is sessions begun per second; `--fault-every`, `--fault-lasts`, `--warmup` and `--sample-every` are seconds.
// `--only` names the faults that may strike. Prints a line a minute and a table at the end. Exits with 1 when an invariant is broken.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const COMPILER = join(ROOT, "node_modules/typescript/bin/tsc");
// Inside the checkout, so that packages are found as they are from the build itself.
const FOLDER = join(ROOT, ".soak", String(process.pid));

process.exitCode = await soak();

async function soak() {
  if (!existsSync(join(ROOT, "dist/cli/bin.js"))) {
    console.error("vmcp is not built: npm run build");
    return 2;
  }
  try {
    copyBuild();
    if ((await run([COMPILER, "-p", FOLDER])) !== 0) return 2;
    const bin = join(FOLDER, "dist/cli/bin.js");
    const program = join(FOLDER, "bench/rows/backend.mjs");
    const own = process.argv.slice(2);
    return await run([
      join(FOLDER, "bench/soak/main.js"),
      "--bin",
      bin,
      "--program",
      program,
      ...own,
    ]);
  } finally {
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

/** What runs: the build, the programs that are not compiled, and where to compile the others from. */
function copyBuild() {
  mkdirSync(join(FOLDER, "tmp"), { recursive: true });
  for (const path of ["dist", "package.json", "bench/rows", "bench/load", "test/support"])
    cpSync(join(ROOT, path), join(FOLDER, path), {
      recursive: true,
      filter: (source) => path === "dist" || !source.endsWith(".ts"),
    });
  const compilerOptions = {
    rootDir: ROOT,
    outDir: ".",
    noCheck: true,
    declaration: false,
    declarationMap: false,
    sourceMap: false,
  };
  const files = [join(ROOT, "bench/soak/main.ts")];
  const project = { extends: join(ROOT, "tsconfig.json"), compilerOptions, files, include: [] };
  writeFileSync(join(FOLDER, "tsconfig.json"), JSON.stringify(project));
}

/** Returns the exit code. A signal that would end us ends the program, which then says what it has found. */
async function run(args) {
  // Of its own: whoever tidies up the common one must not end an hour's run.
  const env = { ...process.env, TMPDIR: join(FOLDER, "tmp") };
  const program = spawn(process.execPath, args, { cwd: FOLDER, env, stdio: "inherit" });
  const pass = (signal) => program.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, pass);
  const [code] = await once(program, "exit");
  for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, pass);
  return code ?? 1;
}
