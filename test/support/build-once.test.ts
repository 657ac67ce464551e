import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isStale } from "./build-once.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vmcp-build-once-"));
  writeAt("src/index.ts", 100);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a missing build is stale", () => {
  expect(isStale(root)).toBe(true);
});

test("a build newer than every source is current", () => {
  writeAt("dist/cli/bin.js", 200);

  expect(isStale(root)).toBe(false);
});

test.for(["src/deep/below/new.ts", "src/index.ts", "package.json", "tsconfig.build.json"])(
  "a build older than %s is stale",
  (name) => {
    writeAt("dist/cli/bin.js", 200);

    writeAt(name, 300);

    expect(isStale(root)).toBe(true);
  },
);

test("a changed test makes no build stale", () => {
  writeAt("dist/cli/bin.js", 200);

  writeAt("src/index.test.ts", 300);

  expect(isStale(root)).toBe(false);
});

function writeAt(name: string, seconds: number): void {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  utimesSync(file, seconds, seconds);
}
