import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** A copy of the command line, far from the packages that it was made with. */
function copyOfCommand(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of ["package.json", "dist/bundle", "dist/cli/bin.js"])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  return folder;
}

/** A copy of the build of which everything is gone that is only loaded when it is needed. */
function strippedBuild(): string {
  const folder = copyOfCommand();
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

test("the gateway starts and ends without loading a package from its folder", async () => {
  const folder = copyOfCommand();
  await using backend = await startHttpLedger();
  const args = ["serve", "--backend", `b=${backend.url}`, "--port", "0"];

  const child = spawn(process.execPath, [join(folder, "dist/cli/bin.js"), ...args]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await expect.poll(() => output).toMatch(/^ready$/m);
  child.kill("SIGINT");
  const [code] = await once(child, "exit");

  expect({ code, output }).toMatchObject({ code: 0 });
});

test("what is handed on of packages comes with their licenses", () => {
  const folder = join(ROOT, "dist/bundle");
  const licenses = readFileSync(join(folder, "LICENSES.md"), "utf8");
  const names = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(MODULE)].map(([, name = ""]) => name),
  );

  expect(new Set(names).size).toBeGreaterThan(10);
  for (const name of names) expect(licenses).toContain(`\n## ${name} `);
  expect(licenses).toMatch(/^## zod [0-9.]+ \(MIT\)\n\nMIT License\n/m);
});

/** How the bundler marks where a module begins, with the name of its package. */
const MODULE = /^\/\/.* ?node_modules\/((?:@[^/]+\/)?[^/]+)\//gm;
