import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  HAS_PROC,
  openSockets,
  type OpenSocket,
  processesWithEnv,
  processTree,
  waitFor,
} from "./quiescence.ts";
import { postMessage, sendRaw } from "./raw-client.ts";

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ONE_PACKAGE = { "": {}, "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } };
const OPTIONAL = { version: "1.0.0", integrity: "sha512-o", optional: true };

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  },
};
/** Shows the configuration that it was given, and serves until SIGTERM. */
const STAND_IN_GATEWAY = `// @ts-nocheck
import { readFileSync } from "node:fs";
console.log("CONFIG" + JSON.stringify(JSON.parse(readFileSync(process.argv[3], "utf8"))));
console.log("ready");
setInterval(() => {}, 1000);
`;

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vmcp-scripts-"));
  cpSync(join(REPOSITORY, "scripts"), join(root, "scripts"), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("ensure-installed", () => {
  test.for([
    ["nothing is installed", ONE_PACKAGE, undefined],
    ["a package is missing", ONE_PACKAGE, {}],
    ["a package is of another version", ONE_PACKAGE, changed({ version: "2.0.0" })],
    ["a package has another content", ONE_PACKAGE, changed({ integrity: "sha512-b" })],
    ["a package is there that should not be", { "": {} }, changed({})],
  ] as const)("installs when %s", ([, wanted, installed]) => {
    writeLocks(wanted, installed);

    const { status, npm } = runScript("ensure-installed.mjs");

    expect(status).toBe(0);
    expect(npm).toMatch(/^ci /);
  });

  test.for([
    ["what is installed is what is wanted", ONE_PACKAGE],
    ["the lock file does not know a package's content", { "node_modules/a": { version: "1.0.0" } }],
    ["only packages for other systems are missing", { ...ONE_PACKAGE, "node_modules/o": OPTIONAL }],
  ] as const)("says and does nothing when %s", ([, wanted]) => {
    writeLocks(wanted, changed({}));

    const { status, output, npm } = runScript("ensure-installed.mjs");

    expect([status, output, npm]).toEqual([0, "", undefined]);
  });

  test("says what went wrong when npm fails", () => {
    writeLocks(ONE_PACKAGE, undefined);

    const { status, output } = runScript("ensure-installed.mjs", 7);

    expect(status).toBe(1);
    expect(output).toContain("npm ci failed (exit code 7)");
  });
});

describe("build", () => {
  beforeEach(() => {
    prepareBuild();
    writeAt("src/cli/bin.ts", "export const answer: number = 42;");
  });

  test("puts a clean build in place of the old one, with a command that can be run", () => {
    writeAt("dist/left-over.js", "");

    const { status, output } = runScript("build.mjs");

    expect([status, output]).toEqual([0, ""]);
    expect(readdirSync(join(root, "dist"))).toEqual(["bundle", "cli", "worker.js"]);
    expect(statSync(join(root, "dist/cli/bin.js")).mode & 0o111).toBe(0o111);
    expect(readFileSync(join(root, "dist/cli/bin.js.map"), "utf8")).toContain(
      '"../../src/cli/bin.ts"',
    );
    expect(hiddenFolders()).toEqual([]);
  });

  test("keeps the old build when the sources do not compile", () => {
    writeAt("dist/cli/bin.js", "old");
    writeAt("src/cli/bin.ts", "export const answer: number = 'no';");

    const { status, output } = runScript("build.mjs");

    expect(status).toBe(1);
    expect(output).toContain("src/cli/bin.ts");
    expect(readFileSync(join(root, "dist/cli/bin.js"), "utf8")).toBe("old");
    expect(hiddenFolders()).toEqual([]);
  });
});

describe.runIf(HAS_PROC)("demo", () => {
  const mark = `demo-${process.pid}`;
  const left = (): number => processesWithEnv("DEMO_MARK", mark).length;

  beforeEach(() => {
    prepareBuild();
    symlinkSync(
      join(REPOSITORY, "node_modules/@modelcontextprotocol"),
      join(root, "node_modules/@modelcontextprotocol"),
    );
    writeAt("temp/keep", "");
  });

  test("serves three servers and leaves nothing behind when it is interrupted", async () => {
    writeAt("src/cli/bin.ts", STAND_IN_GATEWAY);
    const { demo, output } = startDemo(mark);
    await waitFor(() => output().includes("ready"), { what: "the stand-in gateway" });
    const config: unknown = JSON.parse(/CONFIG(.*)/.exec(output())?.[1] ?? "");
    const everything = /"url":"([^"]+)"/.exec(output())?.[1] ?? "";
    const answer = await postMessage(everything, INITIALIZE);
    const { port } = new URL(everything);
    const listeners = processTree(demo.pid ?? 0).flatMap(({ pid }) =>
      listeningOn(pid, Number(port)),
    );

    demo.kill("SIGINT");
    const [code] = await once(demo, "exit");

    expect(config).toMatchObject({
      backends: [{ name: "everything" }, { name: "memory" }, { name: "filesystem" }],
      operational: { sessionManagementV2: true },
    });
    expect(answer.status).toBe(200);
    expect(listeners).toHaveLength(1);
    expect(listeners[0]?.localAddress).toBe("127.0.0.1");
    expect(code).toBe(0);
    await waitFor(() => left() === 0);
    await expect(sendRaw(everything)).rejects.toThrow("ECONNREFUSED");
    expect(readdirSync(join(root, "temp"))).toEqual(["keep"]);
  });

  test("ends with what the gateway ended with and stops the rest", async () => {
    writeAt("src/cli/bin.ts", "// @ts-nocheck\nprocess.exit(78);");
    const { demo } = startDemo(mark);

    const [code] = await once(demo, "exit");

    expect(code).toBe(78);
    await waitFor(() => left() === 0);
    expect(readdirSync(join(root, "temp"))).toEqual(["keep"]);
  });

  test("interrupting the build leaves nothing behind either", async () => {
    writeAt("src/cli/bin.ts", STAND_IN_GATEWAY);
    const { demo, output } = startDemo(mark);
    await waitFor(() => output().includes("building"));

    demo.kill("SIGTERM");
    const [code] = await once(demo, "exit");

    expect(code).toBe(0);
    await waitFor(() => left() === 0);
    expect(hiddenFolders()).toEqual([]);
  });
});

function listeningOn(pid: number, port: number): readonly OpenSocket[] {
  return openSockets(pid).filter(
    (socket) => socket.state === "listening" && socket.localPort === port,
  );
}

function startDemo(mark: string): { demo: ChildProcess; output: () => string } {
  const demo = spawn(process.execPath, [join(root, "scripts/demo.mjs")], {
    env: { ...process.env, TMPDIR: join(root, "temp"), DEMO_MARK: mark },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  const keep = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  demo.stdout.on("data", keep);
  demo.stderr.on("data", keep);
  return { demo, output: () => text };
}

/** A project whose build takes nothing but the compiler and the bundler. */
function prepareBuild(): void {
  writeLocks({ "": {} }, {});
  for (const tool of ["typescript", "rolldown"]) {
    symlinkSync(join(REPOSITORY, "node_modules", tool), join(root, "node_modules", tool));
  }
  writeAt("src/cli/worker.ts", "export const isWorker = true;");
  writeAt("package.json", '{"type":"module","bin":{"x":"./dist/cli/bin.js"}}');
  writeAt(
    "tsconfig.build.json",
    '{"compilerOptions":{"rootDir":"src","module":"nodenext","types":[],"sourceMap":true}}',
  );
}

function changed(fields: object): object {
  return { "node_modules/a": { version: "1.0.0", integrity: "sha512-a", ...fields } };
}

function writeLocks(wanted: object, installed: object | undefined): void {
  writeAt("package-lock.json", JSON.stringify({ packages: wanted }));
  if (installed === undefined) return;
  writeAt("node_modules/.package-lock.json", JSON.stringify({ packages: installed }));
}

/** Runs a script with a stand-in for npm that writes down its arguments. */
function runScript(
  name: string,
  npmExitCode = 0,
): { status: number | null; output: string; npm: string | undefined } {
  const log = join(root, "npm.log");
  writeAt("bin/npm", `#!/bin/sh\necho "$@" > ${log}\nexit ${npmExitCode}\n`);
  chmodSync(join(root, "bin/npm"), 0o755);
  const result = spawnSync(process.execPath, [join(root, "scripts", name)], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${join(root, "bin")}${delimiter}${process.env["PATH"]}` },
  });
  const hasRun = readdirSync(root).includes("npm.log");
  return {
    status: result.status,
    output: result.stdout + result.stderr,
    npm: hasRun ? readFileSync(log, "utf8") : undefined,
  };
}

function hiddenFolders(): readonly string[] {
  return readdirSync(root).filter((name) => name.startsWith(".dist"));
}

function writeAt(name: string, text: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
}
