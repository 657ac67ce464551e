import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test.for([
  ["embed-http", "embed-http: alice counted 1, 2 and bob counted 1\n"],
  ["embed-sdk", "embed-sdk: counted 1, 2 in one session\n"],
] as const)(
  "the example %s runs against the build and holds what it asserts",
  async ([name, said]) => {
    expect(inject("buildFailure")).toBe("");

    // A program that leaves anything open would not end.
    const run = await promisify(execFile)(process.execPath, [`examples/${name}/main.mjs`], {
      cwd: ROOT,
      timeout: 15_000,
    });

    expect(run).toEqual({ stdout: said, stderr: "" });
  },
);
