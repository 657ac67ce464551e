import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connectV1, textOf } from "../support/clients.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { everythingCommand, freePort, type StdioCommand } from "../support/npm-servers.ts";
import { HAS_PROC, processesWithEnv, waitFor } from "../support/quiescence.ts";
import { runVmcp, startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";

const ESCAPE = "\u001B";

test("a vmcp file is served, in plain lines where nobody looks", async () => {
  await using vmcp = await startVmcp({
    config: { backends: [{ name: "everything", ...everythingCommand() }], ...SESSION_SCOPED },
  });

  const echoed = await echo(vmcp.url, "everything_echo", "hello");
  await waitFor(() => vmcp.stdout.includes("ready"), { what: "ready" });

  expect(echoed).toContain("hello");
  expect(vmcp.stdout).toMatch(/^listening on http:\/\/127\.0\.0\.1:\d+\/mcp$/m);
  expect(vmcp.stdout).toMatch(/^backend everything \(stdio\) is healthy: \d+ tools$/m);
  expect(vmcp.stdout + vmcp.stderr).not.toContain(ESCAPE);
  expect(vmcp.stdout).not.toContain("sessionManagementV2");
});

test("the configuration of an MCP client is served as it is, with sessions that last", async () => {
  await using vmcp = await startVmcp({
    config: JSON.stringify({ mcpServers: { everything: everythingCommand() } }),
    configName: ".mcp.json",
  });

  const echoed = await echo(vmcp.url, "everything_echo", "hello");

  expect(echoed).toContain("hello");
  expect(vmcp.stdout).not.toContain("sessionManagementV2");
});

test("a file in ToolHive's shape is served, and it is said that its flag is off", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await startVmcp({
    config: {
      name: "engineering",
      groupRef: "engineering",
      incomingAuth: { type: "anonymous" },
      outgoingAuth: { source: "inline", default: { type: "unauthenticated" } },
      backends: [{ name: "github", url: ledger.url, transport: "streamable-http" }],
      aggregation: {
        conflictResolution: "prefix",
        conflictResolutionConfig: { prefixFormat: "{workload}." },
      },
    },
  });

  const echoed = await echo(vmcp.url, "github.echo", "hello");

  expect(echoed).toContain("hello");
  expect(vmcp.stdout).toMatch(/^note: operational\.sessionManagementV2 is off/m);
});

test("backends of the command line are served", async () => {
  await using ledger = await startHttpLedger();
  const { command, args } = everythingCommand();
  await using vmcp = await startVmcp({
    args: [
      "--backend",
      `remote=${ledger.url}`,
      "--backend",
      `local=${[command, ...args].join(" ")}`,
    ],
  });

  const [remote, local] = await Promise.all([
    echo(vmcp.url, "remote_echo", "one"),
    echo(vmcp.url, "local_echo", "two"),
  ]);

  expect(remote).toContain("one");
  expect(local).toContain("two");
});

test("a file of a default name in the current folder is found", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "vmcp.yaml"), "backends: [{ name: a }]\n");

  const { code, stderr } = await runVmcp(["serve"], { folder });

  expect(code).toBe(78);
  expect(stderr).toContain("vmcp.yaml:1:12 backends[0].url");
});

test("what cannot be reached is named, and the others are served", async () => {
  await using ledger = await startHttpLedger();
  await using page = await startWebPage();
  await using vmcp = await startVmcp({
    config: {
      backends: [
        { name: "good", url: ledger.url },
        { name: "absent", command: "no-such-program-of-mine" },
        { name: "dead", url: `http://127.0.0.1:${await freePort()}/mcp` },
        { name: "page", url: page.url },
      ],
      ...SESSION_SCOPED,
    },
  });

  const echoed = await echo(vmcp.url, "good_echo", "hello");
  await waitFor(() => vmcp.stdout.includes("ready"), { what: "ready" });

  expect(echoed).toContain("hello");
  expect(vmcp.stdout).toMatch(/^backend good .* is healthy: /m);
  expect(vmcp.stdout).toMatch(/^backend absent .* is unhealthy: .*no-such-program-of-mine/m);
  expect(vmcp.stdout).toMatch(/^backend dead .* is unhealthy: cannot be reached/m);
  expect(vmcp.stdout).toMatch(/^backend page .* is unhealthy: .*does not speak MCP/m);
});

test.for([
  ["two backends of one name", [["two.yaml"]], 78, "backends[1].name"],
  ["a file that does not exist", [["nowhere.yaml"]], 66, "nowhere.yaml does not exist"],
  ["a folder in place of a file", [["."]], 78, "is a directory"],
  ["no configuration at all", [[]], 66, "vmcp init"],
  ["a backend without a target", [["--backend", "github"]], 78, "NAME=URL"],
  ["a backend with a bad URL", [["--backend", "a=http://"]], 78, "--backend"],
  ["a file and backends", [["two.yaml", "--backend", "a=x"]], 64, "either a file or --backend"],
  ["a port that is none", [["two.yaml", "--port", "http"]], 64, "--port must be a whole number"],
  ["a path that is none", [["two.yaml", "--path", "mcp"]], 64, "--path mcp is not a path"],
  [
    "an address for everybody",
    [["one.yaml", "--host", "0.0.0.0"]],
    78,
    "--allow-insecure-anonymous",
  ],
  ["an unknown option", [["--prot", "1"]], 64, "Did you mean --port?"],
  ["a level that is none", [["--log-level", "loud"]], 64, "debug, info, warn"],
] as const)("%s ends in one clear sentence", async ([, [args], expected, sentence]) => {
  const folder = newFolder();
  writeFileSync(
    join(folder, "one.yaml"),
    'backends: [{ name: a, url: "http://127.0.0.1:1/mcp" }]\n',
  );
  writeFileSync(
    join(folder, "two.yaml"),
    'backends: [{ name: a, url: "http://127.0.0.1:1/mcp" }, { name: a, command: b }]\n',
  );

  const { code, stdout, stderr } = await runVmcp(["serve", ...args], {
    folder,
    env: { HOME: folder, XDG_CONFIG_HOME: undefined },
  });

  expect(code).toBe(expected);
  expect(stderr).toContain(sentence);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).toBe("");
});

test("a port in use ends in one clear sentence", async () => {
  await using page = await startWebPage();
  const { port } = new URL(page.url);
  await using ledger = await startHttpLedger();

  const result = await runVmcp(["serve", "--port", port, "--backend", `a=${ledger.url}`]);

  expect(result.code).toBe(71);
  expect(result.stderr).toMatch(new RegExp(`^vmcp: Port ${port} .* in use.*--port`));
  expect(result.stdout).not.toContain("listening");
});

test("with --json, standard output has one event per line", async () => {
  await using ledger = await startHttpLedger();
  const vmcp = await startVmcp({
    config: {
      backends: [
        { name: "good", url: ledger.url },
        { name: "bad", command: "no-such" },
      ],
    },
    args: ["--json"],
  });
  await waitFor(() => vmcp.stdout.includes('"ready"'), { what: "ready" });

  const { code, stdout } = await vmcp.stop();

  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line));
  expect(code).toBe(0);
  expect(events.map(({ event }) => event)).toEqual(
    expect.arrayContaining(["note", "listening", "backend", "backend", "ready"]),
  );
  expect(events.map(({ event }) => event).slice(-2)).toEqual(["draining", "stopped"]);
  expect(events).toContainEqual({ event: "listening", url: vmcp.url });
  expect(events).toContainEqual(
    expect.objectContaining({ event: "backend", name: "bad", state: "unhealthy" }),
  );
  expect(events).toContainEqual(
    expect.objectContaining({ event: "backend", name: "good", state: "healthy" }),
  );
});

test("a level that is named decides what is logged, as JSON on standard error", async () => {
  await using ledger = await startHttpLedger();
  const options = { config: { backends: [{ name: "good", url: ledger.url }] } };
  await using loud = await startVmcp({ ...options, args: ["--log-level", "info"] });
  await using quiet = await startVmcp({ ...options, args: ["--log-level", "silent"] });
  await waitFor(() => loud.stderr.includes("listening"), { what: "a log line" });
  await waitFor(() => quiet.stdout.includes("ready"), { what: "ready" });

  const lines = loud.stderr.trimEnd().split("\n");

  expect(lines.map((line): { msg?: string } => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ msg: "listening", url: loud.url }),
  );
  expect(quiet.stderr).toBe("");
});

test.runIf(HAS_PROC)("SIGTERM ends every session and leaves no child", async () => {
  const mark = randomUUID();
  const vmcp = await startVmcp({ config: marked(mark, everythingCommand(), "0s") });
  const client = await connectV1(vmcp.url);
  await client.client.listTools();
  expect(processesWithEnv("VMCP_TEST_MARK", mark)).not.toHaveLength(0);

  const { code, stdout } = await vmcp.stop("SIGTERM");

  expect(code).toBe(0);
  expect(stdout).toMatch(/^draining… \(1 session\)$/m);
  expect(processesWithEnv("VMCP_TEST_MARK", mark)).toEqual([]);
  await client.vanish();
});

test.runIf(HAS_PROC).for([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("a second %s ends it at once, children included", async ([signal, expected]) => {
  const mark = randomUUID();
  const vmcp = await startVmcp({ config: marked(mark, everythingCommand()) });
  const client = await connectV1(vmcp.url);
  const call = callForLong(client, vmcp);
  await waitFor(() => vmcp.stdout.includes("ready"), { what: "ready" });

  process.kill(vmcp.pid, signal);
  await waitFor(() => vmcp.stdout.includes("draining"), { what: "draining" });
  const { code } = await vmcp.stop(signal);

  expect(code).toBe(expected);
  expect(processesWithEnv("VMCP_TEST_MARK", mark)).toEqual([]);
  await call;
  await client.vanish();
});

const SESSION_SCOPED = { operational: { sessionManagementV2: true } };

function marked(mark: string, command: StdioCommand, shutdownGrace = "5s"): object {
  return {
    backends: [{ name: "b1", ...command, env: { VMCP_TEST_MARK: mark } }],
    operational: { sessionManagementV2: true, sessions: { shutdownGrace } },
  };
}

/** Resolves when the call has ended, which nothing but the end of the gateway brings about. */
async function callForLong(
  { client }: Awaited<ReturnType<typeof connectV1>>,
  vmcp: VmcpProcess,
): Promise<void> {
  const call = client.callTool({
    name: "b1_trigger-long-running-operation",
    arguments: { duration: 120, steps: 1 },
  });
  await Promise.race([call.catch(() => {}), vmcp.exited]);
}

/** One backend calls the argument `message`, the other `text`. */
async function echo(url: string, tool: string, message: string): Promise<string> {
  await using connected = await connectV1(url);
  const { client } = connected;
  return textOf(await client.callTool({ name: tool, arguments: { message, text: message } }));
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A web server that is none of MCP. */
async function startWebPage(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<h1>It works!</h1>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
