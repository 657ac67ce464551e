// Sends bad inputs to a real gateway and prints a line for each that got another answer than it should:
// `npm run catalogue` for those of this project, `npm run catalogue -- FILE` for others of the same format. Exits with 1
// if there is such a line. Options, such as `--reporter=json`, go to the test runner.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const RUNNER = join(ROOT, "node_modules/vitest/vitest.mjs");

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  const files = args.filter((arg) => !arg.startsWith("-"));
  const options = args.filter((arg) => arg.startsWith("-"));
  const [file] = files;
  if (files.length > 1) return misused("give one file at most");
  if (file !== undefined && !existsSync(file)) return misused(`there is no file ${file}`);
  if (!ensureInstalled()) return 1;
  // Whoever names a file asks about its entries, and not whether this project's lists are in order.
  const only = file === undefined ? [] : ["test/catalogue/catalogue.test.ts"];
  const runner = spawn(
    process.execPath,
    [RUNNER, "run", "--config", "vitest.catalogue.config.ts", ...only, ...options],
    {
      cwd: ROOT,
      env: { ...process.env, ...(file !== undefined && { VMCP_CATALOGUE: resolve(file) }) },
      stdio: "inherit",
    },
  );
  const [code] = await once(runner, "exit");
  return code === 0 ? 0 : 1;
}

function misused(problem) {
  console.error(`catalogue: ${problem}`);
  return 2;
}
