import { execFile } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** What the build printed when it failed; tests of the built command fail with it. */
    buildFailure: string;
  }
}

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Builds once per test run where the sources are newer than the build. Named in the test runner's `globalSetup`. */
export async function setup(project: TestProject): Promise<void> {
  project.provide("buildFailure", isStale(ROOT) ? await build(ROOT) : "");
}

/** Whether `dist` is missing or older than any file that it is made of. */
export function isStale(root: string): boolean {
  const built = modifiedMs(join(root, "dist/cli/bin.js"));
  const inputs = ["package.json", "tsconfig.json", "tsconfig.build.json"];
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => join("src", name));
  return [...inputs, ...sources].some((name) => modifiedMs(join(root, name)) > built);
}

/** Returns what went wrong, or an empty text. A failed build does not stop the tests that need none. */
async function build(root: string): Promise<string> {
  try {
    await promisify(execFile)(process.execPath, ["scripts/build.mjs"], { cwd: root });
    return "";
  } catch (error) {
    // What `execFile` rejects with carries both outputs.
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}` || String(error);
  }
}

/** 0 for a file that does not exist. */
function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
