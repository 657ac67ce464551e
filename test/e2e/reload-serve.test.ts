import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { freePort } from "../support/npm-servers.ts";
import { isRunning, processTree, waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import { runVmcp, startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";

const BIN = fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url));
const LIST_CHANGED = "notifications/tools/list_changed";

/** The ways in which a file gets another content. */
const WRITERS: readonly [string, (path: string, text: string) => void][] = [
  ["written in place", (path, text) => writeFileSync(path, text)],
  [
    "replaced by a rename",
    (path, text) => {
      writeFileSync(`${path}.tmp`, text);
      renameSync(`${path}.tmp`, path);
    },
  ],
];

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test.for(WRITERS)(
    "a file that is %s takes effect in live sessions, and the plan is printed [A23]",
    async ([, write]) => {
      await using kept = await startHttpLedger();
      await using old = await startHttpLedger();
      await using fresh = await startHttpLedger();
      await using vmcp = await startVmcp({ config: configOf({ kept, old }) });
      await readyToReload(vmcp);
      await using client = await connect(vmcp.url);
      await client.call("kept_count");
      await client.call("old_count");

      write(fileOf(vmcp), textOf({ kept, fresh }));
      await waitFor(() => vmcp.stdout.includes("configuration reloaded"));
      await waitFor(async () => (await client.toolNames()).includes("fresh_count"));

      expect(vmcp.stdout).toMatch(/^backend fresh is added$/m);
      expect(vmcp.stdout).toMatch(/^backend old is removed$/m);
      expect(vmcp.stdout).toMatch(/^\d+ tools removed: old_\w+, /m);
      expect(vmcp.stdout).toMatch(
        /^configuration reloaded \(generation 2\): 2 changes in force, 1 session$/m,
      );
      expect(client.notifications.map(({ method }) => method)).toContain(LIST_CHANGED);
      expect(await client.callText("kept_count")).toBe("2");
      await expect(client.call("old_count")).rejects.toMatchObject({ code: -32_602 });
      await waitFor(() => old.openSessions === 0 && old.sockets === 0);
    },
  );
});

test("a mounted configuration is followed when its link is turned to another version", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf({ one }), configName: "unused.yaml" });
  const folder = join(vmcp.folder, "mounted");
  writeVersion(folder, "..1", textOf({ one }));
  symlinkSync(join("..data", "vmcp.yaml"), join(folder, "vmcp.yaml"));
  await using mounted = await startVmcp({ args: ["--port", "0", join(folder, "vmcp.yaml")] });
  await readyToReload(mounted);

  writeVersion(folder, "..2", textOf({ one, two }));
  await waitFor(() => mounted.stdout.includes("configuration reloaded"));
  writeVersion(folder, "..3", textOf({ two }));
  await waitFor(() => mounted.stdout.includes("generation 3"));

  expect(mounted.stdout).toMatch(/^backend two is added$/m);
  expect(mounted.stdout).toMatch(/^backend one is removed$/m);
});

test("a broken file changes nothing and says why; the repaired one says that all is well", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf({ b: ledger }) });
  await readyToReload(vmcp);
  const session = await openRawSession(vmcp.url);
  const good = readFileSync(fileOf(vmcp), "utf8");

  writeFileSync(fileOf(vmcp), good.replace("backends:", "backend:"));
  await waitFor(() => vmcp.stdout.includes("configuration not reloaded"));
  const answer = await session.request("tools/call", { name: "b_count", arguments: {} });
  writeFileSync(fileOf(vmcp), good);
  await waitFor(() => vmcp.stdout.includes("nothing changed"));

  expect(vmcp.stdout).toMatch(
    /^problem: \S*vmcp\.yaml:1:1 backend: .*\(did you mean "backends"\?\)$/m,
  );
  expect(answer).toMatchObject({ result: {} });
  expect(vmcp.stdout).not.toContain("configuration reloaded (");
});

test("a file that was only touched says nothing", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await startVmcp({
    config: configOf({ b: ledger }),
    args: ["--log-level", "debug"],
  });
  await readyToReload(vmcp);
  await waitFor(() => looks(vmcp) === 1);
  const before = vmcp.stdout;

  utimesSync(fileOf(vmcp), new Date(), new Date());
  await waitFor(() => looks(vmcp) === 2);

  expect(vmcp.stdout).toBe(before);
});

test("SIGHUP reads the file again, and secrets that it refers to", async () => {
  await using ledger = await startHttpLedger();
  const config = { ...configOf({ b: ledger }) };
  const withSecret = {
    ...config,
    backends: [{ name: "b", url: ledger.url, headers: { "x-token": "${file:token}" } }],
  };
  await using other = await startVmcp({ config: configOf({ b: ledger }) });
  writeFileSync(join(other.folder, "token"), "first");
  writeFileSync(join(other.folder, "secret.yaml"), stringify(withSecret));
  await using vmcp = await startVmcp({ args: [join(other.folder, "secret.yaml"), "--no-watch"] });
  await waitFor(() => vmcp.stdout.includes("ready"));
  const session = await openRawSession(vmcp.url);
  writeFileSync(join(other.folder, "token"), "second");

  process.kill(vmcp.pid, "SIGHUP");
  await waitFor(() => vmcp.stdout.includes("configuration reloaded"));
  await session.request("tools/call", { name: "b_count", arguments: {} });

  expect(ledger.ledger.calls.at(-1)?.headers["x-token"]).toBe("second");
  expect(vmcp.stdout).toMatch(/^backend b is changed \(headers\): each session connects anew$/m);
  expect(vmcp.stdout + vmcp.stderr).not.toContain("second");
});

test("SIGHUP without a change says so", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf({ b: ledger }), args: ["--json"] });
  await readyToReload(vmcp);

  process.kill(vmcp.pid, "SIGHUP");
  await waitFor(() => vmcp.stdout.includes('"reloaded"'));

  expect(eventsOf(vmcp)).toContainEqual({
    event: "reloaded",
    generation: 1,
    changes: 0,
    sessions: 0,
    toolsAdded: [],
    toolsRemoved: [],
  });
});

test("for programs each change is an object of its own", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf({ one }), args: ["--json"] });
  await readyToReload(vmcp);

  writeFileSync(
    fileOf(vmcp),
    stringify({ ...configOf({ one, two }), server: { path: "/elsewhere" } }),
  );
  await waitFor(() => vmcp.stdout.includes('"reloaded"'));

  expect(eventsOf(vmcp).filter(({ event }) => event === "change")).toEqual([
    { event: "change", kind: "backend_added", backend: "two" },
    { event: "change", kind: "needs_restart", path: "server.path" },
  ]);
});

test("the configuration of an MCP client is watched too", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  const servers = (named: Readonly<Record<string, HttpLedger>>): string =>
    JSON.stringify({
      mcpServers: Object.fromEntries(
        Object.entries(named).map(([name, { url }]) => [name, { url }]),
      ),
    });
  await using vmcp = await startVmcp({ config: servers({ one }), configName: "mcp.json" });
  await readyToReload(vmcp);

  writeFileSync(fileOf(vmcp), servers({ one, two }));

  await waitFor(() => vmcp.stdout.includes("configuration reloaded"));
  expect(vmcp.stdout).toMatch(/^backend two is added$/m);
});

test("with --no-watch a change of the file waits for SIGHUP", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using watching = await startVmcp({ config: configOf({ one }) });
  await using vmcp = await startVmcp({ args: [fileOf(watching), "--no-watch"] });
  await Promise.all([readyToReload(watching), readyToReload(vmcp)]);

  writeFileSync(fileOf(watching), textOf({ one, two }));
  await waitFor(() => watching.stdout.includes("configuration reloaded"));
  const before = vmcp.stdout;
  process.kill(vmcp.pid, "SIGHUP");
  await waitFor(() => vmcp.stdout.includes("configuration reloaded"));

  expect(before).not.toContain("is added");
  expect(vmcp.stdout).toMatch(/^backend two is added$/m);
});

test("a client over standard input and output is told when the file gives it other tools", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  const file = newFile(textOf({ one }));
  const child = spawn(process.execPath, [BIN, "serve", "--stdio", file], { stdio: "pipe" });
  const ended = once(child, "close");
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => void (out += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => void (err += chunk));
  const clientInfo = { name: "x", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const say = (message: object): boolean =>
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  say({ id: 0, method: "initialize", params });
  say({ method: "notifications/initialized" });
  await waitFor(() => out.includes('"id":0') && err.includes("ready"));

  writeFileSync(file, textOf({ one, two }));
  await waitFor(() => out.includes(LIST_CHANGED));
  say({ id: 1, method: "tools/list" });
  await waitFor(() => out.includes('"id":1'));
  child.stdin.end();
  await ended;

  expect(out).toContain("two_count");
  expect(err).toMatch(/^backend two is added$/m);
  expect(out).not.toContain("is added");
});

test.skipIf(!existsSync("/usr/bin/script"))(
  "a gateway whose terminal is closed stops, because nobody is left to serve",
  async () => {
    await using ledger = await startHttpLedger();
    const file = newFile(textOf({ b: ledger }));
    const command = `${process.execPath} ${BIN} serve ${file} --port 0`;
    const terminal = spawn("/usr/bin/script", ["-qfec", command, "/dev/null"], { stdio: "pipe" });
    let out = "";
    terminal.stdout.setEncoding("utf8").on("data", (chunk: string) => void (out += chunk));
    await waitFor(() => out.includes("Ctrl-C stops it"));
    const gateways = processTree(terminal.pid ?? 0).filter(({ pid }) => pid !== terminal.pid);
    onTestFinished(() => {
      for (const { pid } of gateways) if (isRunning(pid)) process.kill(pid, "SIGKILL");
    });

    terminal.kill("SIGKILL");

    expect(gateways.length).toBeGreaterThan(0);
    await waitFor(() => gateways.every(({ pid }) => !isRunning(pid)));
    await waitFor(() => ledger.openSessions === 0);
  },
);

describe("validate --against", () => {
  test("prints what a reload would do, and does nothing of it", async () => {
    await using one = await startHttpLedger();
    await using two = await startHttpLedger();
    await using vmcp = await startVmcp({ config: configOf({ one, two }) });
    await readyToReload(vmcp);
    await openRawSession(vmcp.url);
    const next = join(vmcp.folder, "next.yaml");
    const changed = { ...configOf({ one, three: two }), server: { path: "/elsewhere" } };
    writeFileSync(next, stringify({ ...changed, aggregation: { excludeAllTools: true } }));

    const { code, stdout } = await runVmcp(["validate", next, "--against", vmcp.url]);

    expect(code).toBe(0);
    expect(stdout.split("\n").slice(1, -1)).toEqual([
      `A reload of ${vmcp.url} (1 session) would do this:`,
      "backend three is added",
      "backend two is removed",
      "aggregation is changed",
      "server.path needs a restart and stays as it was",
    ]);
    expect(vmcp.stdout).not.toContain("is added");
  });

  test("finds nothing to do for the file that is served, whatever the command line made of it", async () => {
    await using ledger = await startHttpLedger();
    await using vmcp = await startVmcp({
      config: configOf({ b: ledger }),
      args: ["--port", "0", "--path", "/mcp"],
    });
    await readyToReload(vmcp);

    const result = await runVmcp(["validate", fileOf(vmcp), "--against", vmcp.origin]);
    const json = await runVmcp(["validate", fileOf(vmcp), "--against", vmcp.origin, "--json"]);

    expect(result.stdout).toContain(`A reload of ${vmcp.origin} would change nothing.`);
    expect(JSON.parse(json.stdout)).toEqual([]);
  });

  test("names what waits for a restart also after a reload that left it waiting", async () => {
    await using one = await startHttpLedger();
    await using two = await startHttpLedger();
    await using vmcp = await startVmcp({ config: configOf({ one }) });
    await readyToReload(vmcp);
    const next = stringify({ ...configOf({ one, two }), server: { path: "/elsewhere" } });
    writeFileSync(fileOf(vmcp), next);
    await waitFor(() => vmcp.stdout.includes("configuration reloaded"));

    const { stdout } = await runVmcp(["validate", fileOf(vmcp), "--against", vmcp.origin]);

    expect(stdout.split("\n").slice(1, -1)).toEqual([
      `A reload of ${vmcp.origin} (0 sessions) would do this:`,
      "server.path needs a restart and stays as it was",
    ]);
  });

  test("says in one line why a gateway cannot be asked over TLS", async () => {
    await using ledger = await startHttpLedger();
    await using vmcp = await startVmcp({ config: configOf({ b: ledger }) });
    const address = vmcp.origin.replace("http:", "https:");

    const result = await runVmcp(["validate", fileOf(vmcp), "--against", address]);

    expect(result.code).toBe(69);
    expect(result.stderr).toMatch(
      /^vmcp: Nothing can be reached at https:\S+: wrong version number\.\n$/,
    );
  });

  test("proves itself by VMCP_TOKEN where the gateway asks who asks", async () => {
    await using ledger = await startHttpLedger();
    const key = "alice-0123456789abcdef";
    const keys = [{ id: "k", secret: key, subject: "alice" }];
    const incomingAuth = { type: "apiKey", apiKey: { keys } };
    const config = { ...configOf({ b: ledger }), incomingAuth };
    await using vmcp = await startVmcp({ config });
    const command = ["validate", fileOf(vmcp), "--against", vmcp.origin];

    const without = await runVmcp(command);
    const wrong = await runVmcp(command, { env: { VMCP_TOKEN: "CANARY" } });
    const right = await runVmcp(command, { env: { VMCP_TOKEN: key } });

    expect([without.code, wrong.code, right.code]).toEqual([77, 77, 0]);
    expect(without.stderr).toContain("set VMCP_TOKEN");
    expect(wrong.stderr).not.toContain("CANARY");
    expect(right.stdout).toContain("would change nothing");
  });

  test("compares references and never values, which it says", async () => {
    await using ledger = await startHttpLedger();
    const withHeaders = (headers: object): string =>
      stringify({ backends: [{ name: "b", url: ledger.url, headers }] });
    await using vmcp = await startVmcp({
      config: withHeaders({ "x-a": "CANARY-literal", "x-b": "${env:FIRST}" }),
      env: { FIRST: "CANARY-env" },
    });
    await readyToReload(vmcp);
    const next = join(vmcp.folder, "next.yaml");
    const env = { FIRST: "another", SECOND: "another" };
    const planFor = async (headers: object): Promise<string> => {
      writeFileSync(next, withHeaders(headers));
      const { stdout } = await runVmcp(["validate", next, "--against", vmcp.origin], { env });
      return stdout;
    };

    const sameReference = await planFor({ "x-a": "other literal", "x-b": "${env:FIRST}" });
    const otherReference = await planFor({ "x-a": "CANARY-literal", "x-b": "${env:SECOND}" });
    const status = await (await fetch(`${vmcp.origin}/status?config`)).text();
    const usual = await (await fetch(`${vmcp.origin}/status`)).text();

    expect(sameReference).toContain("would change nothing");
    expect(sameReference).toContain("note: values of headers and variables");
    expect(otherReference).toContain("backend b is changed (headers)");
    expect(status).toContain('"digests"');
    expect(usual).not.toContain('"digests"');
    expect(status).not.toMatch(/CANARY|127\.0\.0\.1/);
  });

  test.for([
    [
      "nothing listens",
      async (): Promise<string> => `http://127.0.0.1:${await freePort()}`,
      69,
      "Nothing can be reached",
    ],
    ["the address is none", async (): Promise<string> => "127.0.0.1", 64, "is not a URL"],
  ] as const)("says so where %s", async ([, address, expected, words]) => {
    const file = newFile("backends: [{ name: b, url: http://127.0.0.1:1/mcp }]");

    const { code, stderr } = await runVmcp(["validate", file, "--against", await address()]);

    expect(code).toBe(expected);
    expect(stderr).toContain(words);
  });

  test.for([
    ["what answers is no gateway", "<html>hello</html>", "is no vmcp"],
    [
      "the gateway is of an older version",
      '{"name":"vmcp","sessions":0}',
      "does not say what it runs",
    ],
  ] as const)("says so where %s", async ([, body, words]) => {
    const server = createServer((_request, response) => void response.end(body)).listen(
      0,
      "127.0.0.1",
    );
    onTestFinished(() => {
      server.close();
    });
    await once(server, "listening");
    // A server that listens on TCP has an address object.
    const { port } = server.address() as AddressInfo;
    const file = newFile("backends: [{ name: b, url: http://127.0.0.1:1/mcp }]");

    const { code, stderr } = await runVmcp([
      "validate",
      file,
      "--against",
      `http://127.0.0.1:${port}`,
    ]);

    expect(code).toBe(69);
    expect(stderr).toContain(words);
  });
});

/** The file is watched from a moment after the gateway is ready, and looked at once then. */
async function readyToReload(vmcp: VmcpProcess): Promise<void> {
  await waitFor(() => /^ready$|"event":"ready"/m.test(vmcp.stdout), { what: "ready" });
}

/** How often the configuration was looked at and found to be the one in force, as the debug log says. */
function looks({ stderr }: VmcpProcess): number {
  return stderr.split("was looked at").length - 1;
}

function newFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-plan-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "vmcp.yaml"), text);
  return join(folder, "vmcp.yaml");
}

function configOf(named: Readonly<Record<string, HttpLedger>>): object {
  const backends = Object.entries(named).map(([name, { url }]) => ({ name, url }));
  const sessions = { shutdownGrace: "0s" };
  return { backends, operational: { sessionManagementV2: true, sessions } };
}

function textOf(named: Readonly<Record<string, HttpLedger>>): string {
  return stringify(configOf(named));
}

function fileOf({ configFile }: VmcpProcess): string {
  if (configFile === undefined) throw new Error("it was started without a file");
  return configFile;
}

function eventsOf({ stdout }: VmcpProcess): readonly Record<string, unknown>[] {
  // Each line is an object.
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** As Kubernetes does it: the files of a version in a folder, and a link to it that is replaced by a rename. */
function writeVersion(folder: string, version: string, text: string): void {
  mkdirSync(join(folder, version), { recursive: true });
  writeFileSync(join(folder, version, "vmcp.yaml"), text);
  symlinkSync(version, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
}
