import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");

/** A copy of the build of which everything is gone that is only loaded when it is needed. */
function strippedBuild(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const name of readdirSync(join(folder, "dist/bundle"))) {
    if (name.startsWith("failures-")) rmSync(join(folder, "dist/bundle", name));
  }
  return join(folder, "dist/cli/bin.js");
}

test("a command whose files are replaced while it runs ends, and says what is missing", () => {
  const command = strippedBuild();

  const { status, stderr } = spawnSync(process.execPath, [command, "serve", "--backend", "b"], {
    encoding: "utf8",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });

  expect(status).toBe(70);
  expect(stderr).toMatch(/^vmcp: Error.*failures-/m);
});
