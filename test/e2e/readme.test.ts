import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { parseConfig } from "../../src/config/load-config.ts";
import { everythingCommand } from "../support/npm-servers.ts";
import { startVmcp } from "../support/vmcp-process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const ENDPOINT = "http://127.0.0.1:4483/mcp";

test("the README's calls with curl do what it says", async () => {
  await using vmcp = await startVmcp({
    config: {
      backends: [{ name: "everything", ...everythingCommand() }],
      operational: { sessionManagementV2: true },
    },
  });
  const script = onlyBlock("bash").replace(ENDPOINT, vmcp.url);

  const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script]);

  expect(stdout).toContain('"everything_echo"');
  expect(stdout).toContain("Echo: hello");
  const status = await fetch(`${vmcp.origin}/status`);
  expect(await status.json()).toMatchObject({ sessions: 0 });
});

test("the README's configuration is valid", () => {
  const loaded = parseConfig({
    text: onlyBlock("yaml"),
    fileName: "vmcp.yaml",
    env: { DOCS_TOKEN: "secret" },
  });

  expect(loaded.warnings).toEqual([]);
  expect(loaded.config.backends.map(({ name }) => name)).toEqual(["files", "docs"]);
});

test("the README's program runs against the built package", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-readme-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/vmcp"));
  const { command, args } = everythingCommand();
  const program = onlyBlock("js").replace(
    /command: "npx",\s*args: \[[^\]]*\]/,
    `command: ${JSON.stringify(command)}, args: ${JSON.stringify(args)}`,
  );
  writeFileSync(join(folder, "program.mjs"), program);

  const { stdout } = await promisify(execFile)(process.execPath, ["program.mjs"], { cwd: folder });

  expect(program).not.toContain("npx");
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/m);
  expect(stdout).toContain("Echo: hello");
});

/** The text of the README's only block in that language. */
function onlyBlock(language: string): string {
  const blocks = [...README.matchAll(/^```(?<language>\w+)\n(?<text>.*?)^```$/gms)].filter(
    (match) => match.groups?.["language"] === language,
  );
  expect(blocks).toHaveLength(1);
  return blocks[0]?.groups?.["text"] ?? "";
}
