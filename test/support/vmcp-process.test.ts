import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { sendRaw } from "./raw-client.ts";
import { runVmcp, startVmcp } from "./vmcp-process.ts";

const folder = mkdtempSync(join(tmpdir(), "vmcp-stand-in-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Behaves as far as this module cares: it prints its endpoint, serves, and ends on SIGINT. */
const SERVES = standIn(
  "serves.mjs",
  `import { createServer } from "node:http";
   import { readFileSync } from "node:fs";
   const file = process.argv[3];
   const server = createServer((_request, response) => {
     response.end(JSON.stringify({
       args: process.argv.slice(4), config: readFileSync(file, "utf8"), cwd: process.cwd(), mark: process.env.MARK,
     }));
   });
   server.listen(0, "127.0.0.1", () => {
     console.error("listening on http://127.0.0.1:" + server.address().port + "/mcp");
   });
   process.on("SIGINT", () => process.exit(0));`,
);
const REFUSES = standIn(
  "refuses.mjs",
  'console.error("bad config: line 3"); process.exitCode = 78;',
);

test("runs the command in a folder of its own with the configuration written as YAML", async () => {
  await using vmcp = await startVmcp({
    bin: SERVES,
    config: { backends: [{ name: "a" }] },
    args: ["--json"],
    env: { MARK: "yes" },
  });

  const seen: unknown = JSON.parse((await sendRaw(vmcp.url)).text);

  expect(vmcp.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
  expect(vmcp.stderr).toContain("listening on");
  expect(seen).toEqual({
    args: ["--port", "0", "--json"],
    config: "backends:\n  - name: a\n",
    cwd: vmcp.folder,
    mark: "yes",
  });
});

test("configuration given as text is written as it is", async () => {
  await using vmcp = await startVmcp({ bin: SERVES, config: "# odd\n{}" });

  const { text } = await sendRaw(vmcp.url);

  expect(text).toContain("# odd\\n{}");
});

test("stopping waits for the end and removes the folder", async () => {
  const vmcp = await startVmcp({ bin: SERVES, config: "{}" });

  const exit = await vmcp.stop();

  expect(exit).toMatchObject({ code: 0, signal: null });
  expect(existsSync(vmcp.folder)).toBe(false);
  expect(await vmcp.stop("SIGKILL")).toEqual(exit);
});

test("a command that ends instead of serving fails with its exit code and output", async () => {
  const starting = startVmcp({ bin: REFUSES, config: "{}" });

  await expect(starting).rejects.toThrow(/did not start \(78\)[^]*bad config: line 3/);
});

test("a command that never prints an endpoint is killed", async () => {
  const silent = standIn("silent.mjs", "setInterval(() => {}, 1000);");

  const starting = startVmcp({ bin: silent, config: "{}", startTimeoutMs: 200 });

  await expect(starting).rejects.toThrow("did not start (SIGKILL)");
});

test("other commands run to their end", async () => {
  const exit = await runVmcp(["validate", "x.yaml"], { bin: REFUSES });

  expect(exit).toEqual({ code: 78, signal: null, stdout: "", stderr: "bad config: line 3\n" });
});

function standIn(name: string, code: string): string {
  const file = join(folder, name);
  writeFileSync(file, code);
  return file;
}
