import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { everythingCommand, filesystemCommand, memoryCommand } from "../support/npm-servers.ts";
import { runVmcp } from "../support/vmcp-process.ts";

const MANIFEST = new URL("../../package.json", import.meta.url);
const ESCAPE = "\u001B";

test.for(["--version", "-V", "version"])(
  "vmcp %s prints the version of the package",
  async (word) => {
    // The package's own file.
    const { version } = JSON.parse(readFileSync(MANIFEST, "utf8")) as { version: string };

    const result = await runVmcp([word]);

    expect(result).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  },
);

test("validate lists every problem of a file at once, each with its line", async () => {
  const folder = newFolder({
    "vmcp.yaml": [
      "backends:",
      "  - name: a b",
      "    url: ftp://example.com",
      "  - name: c",
      "agregation: {}",
      "operational: { logLevel: loud }",
      "",
    ].join("\n"),
  });

  const { code, stdout } = await runVmcp(["validate"], { folder });

  expect(code).toBe(78);
  expect(stdout).toMatch(/^problem vmcp\.yaml:2:\d+ backends\[0\]\.name: /m);
  expect(stdout).toMatch(/^problem vmcp\.yaml:3:\d+ backends\[0\]\.url: /m);
  expect(stdout).toMatch(/^problem vmcp\.yaml:4:\d+ backends\[1\]/m);
  expect(stdout).toMatch(/^problem vmcp\.yaml:5:\d+ .*did you mean "aggregation"/m);
  expect(stdout).toMatch(/^problem vmcp\.yaml:6:\d+ operational\.logLevel: /m);
  expect(stdout).toMatch(/vmcp\.yaml has 5 problems\.$/m);
});

test("validate --json prints the problems as one array", async () => {
  const folder = newFolder({ "bad.json": '{ "backends": [] }', "good.json": GOOD });

  const bad = await runVmcp(["validate", "bad.json", "--json"], { folder });
  const good = await runVmcp(["validate", "good.json", "--json"], { folder });

  expect(bad.code).toBe(78);
  expect(JSON.parse(bad.stdout)).toEqual([
    expect.objectContaining({ severity: "problem", file: "bad.json", line: 1, path: "backends" }),
  ]);
  expect(good.code).toBe(0);
  expect(JSON.parse(good.stdout)).toEqual([]);
});

test("validate says in one line that a good file is good", async () => {
  const folder = newFolder({ "vmcp.json": GOOD });

  const { code, stdout, stderr } = await runVmcp(["validate"], { folder });

  expect(code).toBe(0);
  expect(stdout).toMatch(/^✔ vmcp\.json is valid: 1 backend \(0 stdio, 1 HTTP\), .*\n$/);
  expect(stdout).not.toContain(ESCAPE);
  expect(stderr).toBe("");
});

test("a file that this user may not read is named", async () => {
  const folder = newFolder({ "vmcp.yaml": "" });
  chmodSync(join(folder, "vmcp.yaml"), 0);
  // The system's administrator may read everything, and may not be who runs this.
  const isRefused = process.getuid?.() !== 0;

  const { code, stderr } = await runVmcp(["validate"], { folder });

  expect(code).toBe(isRefused ? 66 : 78);
  expect(stderr + code).toMatch(isRefused ? /may not be read/ : /78$/);
});

test("init writes a file that is valid, and does not overwrite it unasked", async () => {
  const folder = newFolder({});

  const first = await runVmcp(["init"], { folder });
  const checked = await runVmcp(["validate"], { folder });
  writeFileSync(join(folder, "vmcp.yaml"), "mine");
  const second = await runVmcp(["init"], { folder });
  const kept = readFileSync(join(folder, "vmcp.yaml"), "utf8");
  const forced = await runVmcp(["init", "--force"], { folder });

  expect(first).toMatchObject({ code: 0, stdout: "Wrote vmcp.yaml. Start it with: vmcp serve\n" });
  expect(checked.code).toBe(0);
  expect(checked.stdout).toContain("sessionManagementV2 on");
  expect(second.code).toBe(73);
  expect(second.stderr).toContain("--force");
  expect(kept).toBe("mine");
  expect(forced.code).toBe(0);
  expect(readFileSync(join(folder, "vmcp.yaml"), "utf8")).toContain("backends:");
});

test("init says why a file cannot be written", async () => {
  const folder = newFolder({});

  const { code, stderr } = await runVmcp(["init", "no-such-folder/vmcp.yaml"], { folder });

  expect(code).toBe(74);
  expect(stderr).toContain("vmcp.yaml cannot be written");
});

test("import merges what the clients of this user have, without their secrets", async () => {
  const folder = newFolder({
    ".mcp.json": JSON.stringify({ mcpServers: { files: { command: "files", args: ["."] } } }),
    "home/.cursor/mcp.json": JSON.stringify({
      mcpServers: {
        github: { url: "https://example.com/mcp", headers: { Authorization: "Bearer s3cret" } },
      },
    }),
  });
  const options = { folder, env: { HOME: join(folder, "home"), XDG_CONFIG_HOME: undefined } };

  const printed = await runVmcp(["import"], options);
  const written = await runVmcp(["import", "--write", "vmcp.yaml"], options);
  const refused = await runVmcp(["import", "--write", "vmcp.yaml"], options);
  const token = { GITHUB_AUTHORIZATION: "s3cret" };
  const checked = await runVmcp(["validate"], { ...options, env: { ...options.env, ...token } });

  expect(printed.code).toBe(0);
  expect(printed.stdout).toContain("name: files");
  expect(printed.stdout).toContain("Bearer ${env:GITHUB_AUTHORIZATION}");
  expect(printed.stderr).toContain(join(folder, "home/.cursor/mcp.json"));
  expect(printed.stderr).toMatch(/^ {2}GITHUB_AUTHORIZATION/m);
  expect(printed.stdout + printed.stderr).not.toContain("s3cret");
  expect(written.code).toBe(0);
  expect(written.stdout).toBe("");
  expect(refused.code).toBe(73);
  expect(checked).toMatchObject({ code: 0, stderr: "" });
});

test("import reads the files that are named, and fails where there is nothing", async () => {
  const folder = newFolder({
    "some.json": JSON.stringify({ servers: { one: { command: "one" } } }),
    "empty.json": JSON.stringify({ mcpServers: {} }),
  });

  const some = await runVmcp(["import", "--from", "some.json"], { folder });
  const empty = await runVmcp(["import", "--from", "empty.json"], { folder });
  const absent = await runVmcp(["import", "--from", "absent.json"], { folder });

  expect(some.code).toBe(0);
  expect(some.stdout).toContain("command: one");
  expect(empty.code).toBe(66);
  expect(empty.stderr).toContain("No MCP server was found");
  expect(absent.code).toBe(66);
  expect(absent.stderr).toContain("absent.json does not exist");
});

test("list shows what clients will see, what was renamed, and what failed", async () => {
  await using ledger = await startHttpLedger();
  const folder = newFolder({});
  const config = {
    backends: [
      { name: "memory", ...memoryCommand(join(folder, "memory.json")) },
      { name: "one", url: ledger.url },
      { name: "two", url: ledger.url },
      { name: "absent", command: "no-such-program-of-mine" },
    ],
    aggregation: { conflictResolution: "prefixOnConflict" },
  };
  writeFileSync(join(folder, "vmcp.json"), JSON.stringify(config));

  const { code, stdout } = await runVmcp(["list"], { folder });

  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d+ tools$/m);
  expect(stdout).toMatch(/^ {2}read_graph +memory +Read the entire knowledge graph$/m);
  expect(stdout).toMatch(/^ {2}one_echo +one +Returns its text\.$/m);
  expect(stdout).toMatch(/^1 resource$/m);
  expect(stdout).toMatch(/^\d+ findings$/m);
  expect(stdout).toMatch(/^1 backend failed\n {2}.*no-such-program-of-mine/m);
});

test("list --json is complete, and a kind leaves out the others", async () => {
  await using ledger = await startHttpLedger();

  const { code, stdout } = await runVmcp(["list", "tools", "--json", "-b", `one=${ledger.url}`]);

  const listed: Record<string, unknown> = JSON.parse(stdout);
  expect(code).toBe(0);
  expect(Object.keys(listed)).toEqual(["tools", "findings", "failed"]);
  expect(listed["tools"]).toContainEqual(
    expect.objectContaining({ name: "one_echo", backend: "one", originalName: "echo" }),
  );
});

test("list fails if no backend answered", async () => {
  const { code, stdout } = await runVmcp(["list", "--backend", "a=no-such-program-of-mine"]);

  expect(code).toBe(69);
  expect(stdout).toContain("no-such-program-of-mine");
});

test("call runs one tool and prints what it says", async () => {
  const folder = newFolder({ "hello.txt": "Hello from a file." });
  const backend = commandLine("files", filesystemCommand(folder));
  const file = join(folder, "hello.txt");

  const pairs = await runVmcp(["call", "files_read_text_file", `path=${file}`, "-b", backend]);
  const json = await runVmcp([
    "call",
    "files_read_text_file",
    JSON.stringify({ path: file }),
    "-b",
    backend,
  ]);
  const raw = await runVmcp([
    "call",
    "files_read_text_file",
    `path=${file}`,
    "--json",
    "-b",
    backend,
  ]);
  const failed = await runVmcp(["call", "files_read_text_file", "path=/etc/passwd", "-b", backend]);

  expect(pairs).toMatchObject({ code: 0, stdout: "Hello from a file.\n" });
  expect(json).toMatchObject({ code: 0, stdout: "Hello from a file.\n" });
  expect(JSON.parse(raw.stdout)).toMatchObject({
    content: [{ type: "text", text: "Hello from a file." }],
  });
  expect(failed.code).toBe(1);
  expect(failed.stdout).toContain("Access denied");
});

test("values of pairs become what the tool's schema says", async () => {
  const backend = commandLine("all", everythingCommand());

  const sum = await runVmcp(["call", "all_get-sum", "a=1", "b=2", "--backend", backend]);
  const text = await runVmcp(["call", "all_echo", "message=12", "--backend", backend]);

  expect(sum.stdout).toContain("3");
  expect(sum.code).toBe(0);
  expect(text.stdout).toBe("Echo: 12\n");
});

test.for([
  ["a name that is slightly wrong", ["one_ehco"], 64, "Did you mean one_echo"],
  ["a name that is quite wrong", ["xyz"], 64, "vmcp list tools"],
  ["arguments that are not JSON", ["one_echo", "{text"], 65, "not JSON"],
  ["arguments that are no object", ["one_echo", "[1]"], 65, "must be a JSON object"],
  ["no tool at all", [], 64, "missing required argument"],
] as const)("call with %s ends in one clear sentence", async ([, args, expected, sentence]) => {
  await using ledger = await startHttpLedger();

  const result = await runVmcp(["call", "--backend", `one=${ledger.url}`, ...args]);

  expect(result.code).toBe(expected);
  expect(result.stderr).toContain(sentence);
  expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(ledger.ledger.calls).toEqual([]);
});

test.for([
  ["bash", ["-n"]],
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
] as const)(
  "the completion script for %s is one that the shell can read",
  async ([shell, flags]) => {
    const folder = newFolder({});
    const { code, stdout } = await runVmcp(["completion", shell]);
    const file = join(folder, "completion");
    writeFileSync(file, stdout);

    const check = isInstalled(shell)
      ? promisify(execFile)(shell, [...flags, file])
      : Promise.resolve({ stderr: "" });

    expect(code).toBe(0);
    expect(stdout).toContain("serve");
    await expect(check).resolves.toMatchObject({ stderr: "" });
  },
);

test("bash completes commands, options and their values", async () => {
  const { stdout: script } = await runVmcp(["completion", "bash"]);
  const complete = async (...words: readonly string[]): Promise<readonly string[]> => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const probe = `${script}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _vmcp; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)("bash", ["-c", probe]);
    return stdout.trim().split("\n");
  };

  expect(await complete("vmcp", "ser")).toEqual(["serve"]);
  expect(await complete("vmcp", "serve", "--log")).toEqual(["--log-level"]);
  expect(await complete("vmcp", "serve", "--log-level", "d")).toEqual(["debug"]);
  expect(await complete("vmcp", "completion", "f")).toEqual(["fish"]);
});

test.for([
  [["serv"], "Did you mean serve?"],
  [["validate", "a", "b"], "too many arguments"],
  [["completion", "csh"], "bash, zsh, fish"],
  [["list", "a.yaml", "b.yaml"], "at most one file"],
] as const)("vmcp %j is refused in one clear sentence", async ([args, sentence]) => {
  const { code, stdout, stderr } = await runVmcp(args);

  expect(code).toBe(64);
  expect(stderr).toContain(sentence);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).toBe("");
});

test("without a command the help is shown and nothing is done", async () => {
  const nothing = await runVmcp([]);
  const help = await runVmcp(["help", "serve"]);

  expect(nothing.code).toBe(64);
  expect(nothing.stderr).toContain("Usage: vmcp");
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("--log-level");
});

const GOOD = JSON.stringify({ backends: [{ name: "a", url: "http://127.0.0.1:1/mcp" }] });

function commandLine(
  name: string,
  { command, args }: { readonly command: string; readonly args: readonly string[] },
): string {
  return `${name}=${[command, ...args].map((word) => `"${word}"`).join(" ")}`;
}

/** A folder with these files, gone when the test has finished. */
function newFolder(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function isInstalled(program: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(":");
  return folders.some((folder) => existsSync(join(folder, program)));
}
