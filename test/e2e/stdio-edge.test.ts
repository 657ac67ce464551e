import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as TransportV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { stringify } from "yaml";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { createVmcp } from "../../src/app/create-vmcp.ts";
import { textOf, type ReceivedNotification } from "../support/clients.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { everythingCommand } from "../support/npm-servers.ts";
import { HAS_PROC, isRunning, openSockets, processesWithEnv } from "../support/quiescence.ts";
import { runVmcp } from "../support/vmcp-process.ts";

const BIN = fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url));

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** How a test uses a client, whichever of the official SDKs is behind it. */
interface StdioClient extends AsyncDisposable {
  readonly pid: number;
  readonly notifications: readonly ReceivedNotification[];
  /** What the client could not read. */
  readonly errors: readonly Error[];
  toolNames(): Promise<readonly string[]>;
  call(name: string, args?: object, onprogress?: (progress: unknown) => void): Promise<string>;
  close(): Promise<void>;
}

/** What the clients answer a backend that asks the user. */
const ACCEPT = { action: "accept" as const, content: { colour: "red" } };
const CAPABILITIES = { capabilities: { elicitation: {} } };
const INFO = { name: "test-client", version: "1.0.0" };

async function connectV1(file: string): Promise<StdioClient> {
  const client = new ClientV1(INFO, CAPABILITIES);
  client.setRequestHandler(ElicitRequestSchema, () => ACCEPT);
  const transport = new TransportV1(commandFor(file));
  const seen = watch(client);
  await client.connect(transport);
  return toStdioClient(client, transport, seen, async (params, options) =>
    client.callTool(params, undefined, options),
  );
}

async function connectV2(file: string): Promise<StdioClient> {
  const client = new ClientV2(INFO, CAPABILITIES);
  client.setRequestHandler("elicitation/create", () => ACCEPT);
  const transport = new TransportV2(commandFor(file));
  const seen = watch(client);
  await client.connect(transport);
  return toStdioClient(client, transport, seen, async (params, options) =>
    client.callTool(params, options),
  );
}

describe.each([
  ["SDK v1", connectV1],
  ["SDK v2", connectV2],
] as const)("with the stdio client of %s", (_name, connect) => {
  test("calls of both kinds of backends keep their state, and progress arrives", async () => {
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    const file = configFile({
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
    });
    await using client = await connect(file);
    const progress: unknown[] = [];

    const counts = [
      await client.call("http_count"),
      await client.call("http_count"),
      await client.call("stdio_count"),
      await client.call("stdio_count"),
    ];
    await client.call("stdio_slow", { ms: 40, steps: 2 }, (step) => void progress.push(step));

    expect(counts).toEqual(["1", "2", "1", "2"]);
    // These clients may lose a message that comes together with the answer.
    expect(progress).toContainEqual({ progress: 1, total: 2 });
    const unread = client.errors.filter(({ message }) => !message.includes("unknown token"));
    expect(unread).toEqual([]);
  });

  test("a backend that asks the user is answered while another call goes on", async () => {
    await using backend = await startHttpLedger();
    const file = configFile({ backends: [{ name: "b1", url: backend.url }] });
    await using client = await connect(file);
    const params = { message: "Which?", requestedSchema: { type: "object", properties: {} } };

    const hanging = client.call("b1_hang").catch(() => "cut");
    const asked = await client.call("b1_ask", { method: "elicitation/create", params });
    await client.close();

    expect(JSON.parse(asked)).toMatchObject({ result: ACCEPT });
    expect(await hanging).toBe("cut");
    await expect.poll(() => backend.openSessions).toBe(0);
  });

  test("a list that changes is announced and read anew", async () => {
    await using backend = await startHttpLedger();
    const file = configFile({ backends: [{ name: "b1", url: backend.url }] });
    await using client = await connect(file);
    await client.toolNames();
    backend.change({ tools: ['{"name":"grown","inputSchema":{"type":"object"}}'] });

    await expect
      .poll(() => {
        backend.notify("notifications/tools/list_changed");
        return client.notifications.map(({ method }) => method);
      })
      .toContain("notifications/tools/list_changed");

    expect(await client.toolNames()).toContain("b1_grown");
  });

  test.runIf(HAS_PROC)("closing it ends the gateway and every child", async () => {
    const mark = randomUUID();
    const command = { ...everythingCommand(), env: { VMCP_TEST_MARK: mark } };
    const file = configFile({ backends: [{ name: "b1", ...command }] });
    const client = await connect(file);
    await client.toolNames();
    expect(processesWithEnv("VMCP_TEST_MARK", mark)).not.toEqual([]);

    await client.close();

    await expect.poll(() => isRunning(client.pid)).toBe(false);
    expect(processesWithEnv("VMCP_TEST_MARK", mark)).toEqual([]);
  });
});

describe("by hand", () => {
  test("standard output has nothing but messages, and standard error what people should know", async () => {
    await using backend = await startHttpLedger();
    const gateway = startStdio({ backends: [{ name: "b1", url: backend.url }] });
    await gateway.initialize();

    gateway.send(call(1, "b1_count"));
    await gateway.message(({ id }) => id === 1);
    const { code, stdout } = await gateway.end();

    expect(code).toBe(0);
    expect(stdout.endsWith("\n")).toBe(true);
    for (const line of stdout.trimEnd().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
    }
    expect(gateway.stderr).toContain("backend b1 (streamable-http) is healthy");
  });

  test.for<[string, string, object]>([
    ["text that is no JSON", "hello", { error: { code: -32_700 } }],
    ["bytes that are no UTF-8", "\u00ff\u00fe", { error: { code: -32_700 } }],
    ["JSON that is no message", "{}", { error: { code: -32_600 } }],
    ["a batch", "[1]", { error: { code: -32_600 } }],
    ["a request before initialize", request(7, "ping"), { id: 7, error: { code: -32_600 } }],
    [
      "an initialize without a revision",
      request(8, "initialize"),
      { id: 8, error: { code: -32_602 } },
    ],
  ])("%s is answered with an error, and the session can begin", async ([, line, expected]) => {
    const gateway = startStdio({ backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] });

    gateway.sendBytes(Buffer.from(`${line}\n`, "latin1"));
    const answer = await gateway.message(() => true);
    const opened = await gateway.initialize();

    expect(answer).toMatchObject(expected);
    expect("id" in answer).toBe("id" in expected);
    expect(opened.result).toBeDefined();
    expect((await gateway.end()).code).toBe(0);
  });

  test("a line over the limit is refused and skipped", async () => {
    const backends = [{ name: "b1", url: "http://127.0.0.1:1/mcp" }];
    const gateway = startStdio({ backends, limits: { requestBytes: "4KiB" } });
    await gateway.initialize();

    gateway.send(request(1, "ping", { pad: "x".repeat(5_000) }));
    gateway.send(request(2, "ping"));
    await gateway.message(({ id }) => id === 2);

    expect(gateway.messages.find(({ error }) => error !== undefined)).toMatchObject({
      error: { code: -32_600, message: expect.stringContaining("4096 bytes") },
    });
    expect(gateway.messages.some(({ id }) => id === 1)).toBe(false);
    expect((await gateway.end()).code).toBe(0);
  });

  test("what is sent right behind initialize waits for the session", async () => {
    await using backend = await startHttpLedger({ initDelayMs: 200 });
    const gateway = startStdio({ backends: [{ name: "b1", url: backend.url }] });

    gateway.send(`${INITIALIZE}\n${INITIALIZED}\n${call(1, "b1_count")}`);
    await gateway.message(({ id }) => id === 1);

    expect(gateway.messages.map(({ id }) => id)).toEqual([0, 1]);
    expect(gateway.messages[1]?.result).toBeDefined();
    await gateway.end();
  });

  test("what was asked before the end of the input is answered, then the session ends", async () => {
    await using backend = await startHttpLedger();
    const gateway = startStdio({ backends: [{ name: "b1", url: backend.url }] });

    gateway.send(`${INITIALIZE}\n${INITIALIZED}\n${call(1, "b1_slow", { ms: 300 })}`);
    const { code } = await gateway.end();

    expect(gateway.messages.find(({ id }) => id === 1)?.result).toBeDefined();
    expect(code).toBe(0);
    expect(backend.openSessions).toBe(0);
  });

  test("every event of a call comes before its answer", async () => {
    await using backend = await startStdioLedger();
    const { command, args } = backend;
    const gateway = startStdio({ backends: [{ name: "b1", command, args: [...args] }] });
    await gateway.initialize();

    gateway.send(
      request(1, "tools/call", {
        name: "b1_slow",
        arguments: { ms: 40, steps: 3 },
        _meta: { progressToken: "p" },
      }),
    );
    await gateway.message(({ id }) => id === 1);

    expect(gateway.messages.slice(1)).toMatchObject([
      { method: "notifications/progress", params: { progressToken: "p", progress: 1 } },
      { method: "notifications/progress", params: { progressToken: "p", progress: 2 } },
      { method: "notifications/progress", params: { progressToken: "p", progress: 3 } },
      { id: 1 },
    ]);
    await gateway.end();
  });

  test("SIGTERM lets calls in flight finish and ends the session", async () => {
    await using backend = await startHttpLedger();
    const gateway = startStdio({ backends: [{ name: "b1", url: backend.url }] });
    await gateway.initialize();
    gateway.send(call(1, "b1_slow", { ms: 500 }));
    await expect.poll(() => backend.ledger.calls).toHaveLength(1);

    gateway.kill("SIGTERM");
    const { code } = await gateway.exited;

    expect(gateway.messages.find(({ id }) => id === 1)?.result).toBeDefined();
    expect(code).toBe(0);
    expect(backend.openSessions).toBe(0);
  });

  test.runIf(HAS_PROC)("no port is opened", async () => {
    await using backend = await startHttpLedger();
    const gateway = startStdio({ backends: [{ name: "b1", url: backend.url }] });
    await gateway.initialize();

    const listening = openSockets(gateway.pid).filter(({ state }) => state === "listening");

    expect(listening).toEqual([]);
    await gateway.end();
  });

  test.for([["--port", "0"], ["--host", "::1"], ["--path", "/x"], ["--allow-insecure-anonymous"]])(
    "%s means nothing with it, and is refused",
    async (option) => {
      const { code, stdout, stderr } = await runVmcp([
        "serve",
        "--stdio",
        "--backend",
        "a=http://127.0.0.1:1/mcp",
        ...option,
      ]);

      expect(code).toBe(64);
      expect(stderr).toContain(`${option[0]} means nothing with --stdio`);
      expect(stdout).toBe("");
    },
  );
});

test.for(["input first", "close first"])(
  "the end of the input and a close together wait for no call (%s)",
  async (order) => {
    await using backend = await startHttpLedger();
    const input = new PassThrough();
    const output = new PassThrough();
    const received: string[] = [];
    output.on("data", (chunk: Buffer) => void received.push(chunk.toString()));
    const backends = [{ name: "b1", url: backend.url }];
    await using vmcp = await createVmcp({ backends, operational: { sessionManagementV2: true } });
    const served = vmcp.serveStdio(input, output);
    input.write(`${INITIALIZE}\n${INITIALIZED}\n${call(1, "b1_hang")}\n`);
    await expect.poll(() => backend.ledger.calls).toHaveLength(1);

    const closed = order === "close first" ? vmcp.close() : undefined;
    input.end();
    await once(input, "end");
    await (closed ?? vmcp.close());
    await served;

    expect(received.join("")).not.toContain('"id":1');
    expect(backend.openSessions).toBe(0);
  },
);

test("a client that stops reading loses its calls with its session, and nothing waits", async () => {
  await using backend = await startHttpLedger();
  const input = new PassThrough();
  const output = new PassThrough();
  const backends = [{ name: "b1", url: backend.url }];
  await using vmcp = await createVmcp({ backends, operational: { sessionManagementV2: true } });
  const served = vmcp.serveStdio(input, output);
  input.write(`${INITIALIZE}\n${INITIALIZED}\n${call(1, "b1_hang")}\n`);
  await expect.poll(() => backend.ledger.calls).toHaveLength(1);

  output.destroy();
  await served;

  expect(vmcp.sessions.sessionCount).toBe(0);
  expect(backend.openSessions).toBe(0);
});

test("an output that nobody reads is cut in the end", async () => {
  await using backend = await startHttpLedger();
  const input = new PassThrough();
  const output = new PassThrough();
  const backends = [{ name: "b1", url: backend.url }];
  await using vmcp = await createVmcp({ backends, operational: { sessionManagementV2: true } });
  const served = vmcp.serveStdio(input, output);
  input.write(`${INITIALIZE}\n${INITIALIZED}\n${call(1, "b1_big", { bytes: 500_000 })}\n`);
  await expect.poll(() => output.writableLength).toBeGreaterThan(100_000);

  input.end();
  await served;

  expect(output.destroyed).toBe(true);
  expect(vmcp.sessions.sessionCount).toBe(0);
});

test("no more is read from a client that does not read its answers", async () => {
  await using backend = await startHttpLedger();
  const input = new PassThrough();
  const output = new PassThrough();
  const backends = [{ name: "b1", url: backend.url }];
  await using vmcp = await createVmcp({
    backends,
    operational: { sessionManagementV2: true },
    limits: { streamBufferBytes: "64KiB" },
  });
  const served = vmcp.serveStdio(input, output);
  input.write(`${INITIALIZE}\n${INITIALIZED}\n`);
  input.write(`${call(1, "b1_big", { bytes: 500_000 })}\n`);
  await expect.poll(() => output.writableLength).toBeGreaterThan(64 * 1024);
  input.write(`${request(2, "ping")}\n`);
  await expect.poll(() => input.isPaused()).toBe(true);

  let text = "";
  output.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  input.write(`${request(3, "ping")}\n`);

  await expect.poll(() => text).toContain('"id":3');
  input.end();
  await served;
});

const INITIALIZE = request(0, "initialize", {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: INFO,
});
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

function request(id: number, method: string, params?: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, ...(params && { params }) });
}

function call(id: number, name: string, args: object = {}): string {
  return request(id, "tools/call", { name, arguments: args });
}

function configFile(config: object): string {
  const failure = inject("buildFailure");
  if (failure) throw new Error(`there is no build to test:\n${failure}`);
  const folder = mkdtempSync(join(tmpdir(), "vmcp-stdio-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "vmcp.yaml");
  writeFileSync(file, stringify({ operational: { sessionManagementV2: true }, ...config }));
  return file;
}

function commandFor(file: string): { command: string; args: string[]; stderr: "ignore" } {
  return { command: process.execPath, args: [BIN, "serve", "--stdio", file], stderr: "ignore" };
}

interface StdioGateway {
  readonly pid: number;
  readonly stderr: string;
  readonly messages: readonly Message[];
  readonly exited: Promise<{ readonly code: number | null; readonly stdout: string }>;
  send(line: string): void;
  sendBytes(bytes: Buffer): void;
  /** Opens the session and resolves with the answer. */
  initialize(): Promise<Message>;
  message(matches: (message: Message) => boolean): Promise<Message>;
  /** Closes the input and waits for the end. */
  end(): Promise<{ readonly code: number | null; readonly stdout: string }>;
  kill(signal: NodeJS.Signals): void;
}

function startStdio(config: object): StdioGateway {
  const child = spawn(process.execPath, [BIN, "serve", "--stdio", configFile(config)], {
    stdio: "pipe",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const waitForExit = async (): Promise<{ code: number | null; stdout: string }> => {
    await once(child, "close");
    return { code: child.exitCode, stdout };
  };
  const messages = (): readonly Message[] =>
    stdout
      .split("\n")
      .slice(0, -1)
      .map((line): Message => JSON.parse(line));
  const exited = waitForExit();
  const sendBytes = (bytes: Buffer): void => void child.stdin.write(bytes);
  const send = (line: string): void => sendBytes(Buffer.from(`${line}\n`));
  const message = async (matches: (message: Message) => boolean): Promise<Message> => {
    await expect.poll(() => messages().some(matches)).toBe(true);
    return messages().find(matches) ?? {};
  };
  return {
    pid: child.pid ?? 0,
    exited,
    get stderr() {
      return stderr;
    },
    get messages() {
      return messages();
    },
    send,
    sendBytes,
    message,
    async initialize() {
      send(INITIALIZE);
      const answer = await message(({ id }) => id === 0);
      send(INITIALIZED);
      return answer;
    },
    end: async () => {
      child.stdin.end();
      return exited;
    },
    kill: (signal) => void child.kill(signal),
  };
}

interface Watched {
  readonly notifications: ReceivedNotification[];
  readonly errors: Error[];
}

function watch(client: ClientV1 | ClientV2): Watched {
  const seen: Watched = { notifications: [], errors: [] };
  client.fallbackNotificationHandler = async (notification: ReceivedNotification) =>
    void seen.notifications.push(notification);
  // This is no event target: the SDK calls what is set here.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  client.onerror = (error) => void seen.errors.push(error);
  return seen;
}

type CallTool = (
  params: { name: string; arguments: Record<string, unknown> },
  options: { onprogress?: (progress: unknown) => void },
) => Promise<unknown>;

function toStdioClient(
  client: { listTools(): Promise<{ tools: { name: string }[] }>; close(): Promise<void> },
  transport: { readonly pid: number | null },
  seen: Watched,
  callTool: CallTool,
): StdioClient {
  const close = async (): Promise<void> => client.close();
  return {
    pid: transport.pid ?? 0,
    ...seen,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, onprogress) =>
      textOf(
        await callTool({ name, arguments: { ...args } }, { ...(onprogress && { onprogress }) }),
      ),
    close,
    [Symbol.asyncDispose]: close,
  };
}
