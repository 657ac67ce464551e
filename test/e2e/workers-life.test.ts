import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { expect, onTestFinished, test, vi } from "vitest";
import { stringify } from "yaml";
import { openRawRunSession } from "../support/fault-clients.ts";
import { checkHistory, History } from "../support/history.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { noncesOf } from "../support/ledger.ts";
import { freePort } from "../support/npm-servers.ts";
import {
  HAS_PROC,
  isRunning,
  processesWithEnv,
  processTree,
  waitFor as waitWithin,
} from "../support/quiescence.ts";
import { lastMessage, openRawSession, sendRaw, type RawSession } from "../support/raw-client.ts";
import { runVmcp, startVmcp, type VmcpOptions, type VmcpProcess } from "../support/vmcp-process.ts";

const WORKERS = ["--workers", "2"];

/** Each test starts three processes or more, which takes long where others want the processor too. */
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 3 * PATIENCE_MS });

async function waitFor<T>(condition: () => T | Promise<T>): ReturnType<typeof waitWithin<T>> {
  return waitWithin(condition, { timeoutMs: PATIENCE_MS });
}

async function startPatiently(options: VmcpOptions): Promise<VmcpProcess> {
  return startVmcp({ startTimeoutMs: PATIENCE_MS, ...options });
}

function configOf(backend: { readonly url: string }, sessions: object = {}): object {
  return {
    backends: [{ name: "b", url: backend.url }],
    operational: {
      sessionManagementV2: true,
      sessions: { drainDeadline: "3s", shutdownGrace: "0s", ...sessions },
    },
  };
}

async function startWorkers(backend: HttpLedger, more: VmcpOptions = {}): Promise<VmcpProcess> {
  return startPatiently({ config: configOf(backend), args: WORKERS, ...more });
}

/** In the order in which they were started. */
function workersOf(vmcp: VmcpProcess): readonly number[] {
  return processTree(vmcp.pid)
    .filter(({ parentPid, state }) => parentPid === vmcp.pid && state !== "Z")
    .map(({ pid }) => pid)
    .toSorted((left, right) => left - right);
}

function ownerOf({ id }: RawSession): number {
  return Number.parseInt(id.slice(0, 2), 16);
}

async function openOn(url: string, owner: number): Promise<RawSession> {
  return waitFor(async () => {
    const session = await openRawSession(url);
    return ownerOf(session) === owner && session;
  });
}

async function countOf(session: RawSession): Promise<unknown> {
  return session.request("tools/call", { name: "b_count", arguments: {} });
}

function counted(count: number): object {
  return { result: { content: [{ type: "text", text: String(count) }] } };
}

/** Processes end while one looks. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone, which is what was wanted.
  }
}

test.runIf(HAS_PROC)(
  "a worker's crash takes its own sessions, and it is started again [I10]",
  async () => {
    await using backend = await startHttpLedger();
    await using vmcp = await startWorkers(backend);
    const [first, second] = [await openOn(vmcp.url, 0), await openOn(vmcp.url, 1)];
    await countOf(first);
    const [, victim = 0] = workersOf(vmcp);
    const hanging = second.post({
      jsonrpc: "2.0",
      id: 5,
      method: "tools/call",
      params: { name: "b_hang", arguments: { nonce: "cut" } },
    });
    await waitFor(() => noncesOf(backend.ledger).includes("cut"));

    process.kill(victim, "SIGKILL");

    await expect(hanging).rejects.toThrow("hang up");
    // A connection that is given to a process in the moment of its end, ends with it.
    const lost = await waitFor(async () =>
      second.post({ jsonrpc: "2.0", id: 6, method: "tools/list" }).catch(() => undefined),
    );
    const kept = await countOf(first);
    const again = await openOn(vmcp.url, 1);
    expect(lost.status).toBe(404);
    expect(lastMessage(lost)).toMatchObject({ id: 6, error: { code: -32_001 } });
    expect(kept).toMatchObject(counted(2));
    expect(await countOf(again)).toMatchObject(counted(1));
    expect(noncesOf(backend.ledger)).toEqual(["cut"]);
    expect(vmcp.stderr).toContain('"msg":"a worker ended; its sessions are lost"');
    expect(vmcp.stderr).toContain('"worker":2');
  },
);

test.runIf(HAS_PROC)(
  "a worker that ends again and again ends the gateway with exit code 70",
  async () => {
    await using backend = await startHttpLedger();
    await using vmcp = await startWorkers(backend);
    let isOver = false;
    const exited = vmcp.exited.finally(() => {
      isOver = true;
    });

    await waitFor(() => {
      // The one that was started last is the one that ended before.
      const [, victim] = workersOf(vmcp);
      if (victim !== undefined) kill(victim);
      return isOver;
    });
    const { code, stderr } = await exited;

    expect(code).toBe(70);
    expect(stderr).toMatch(
      /^vmcp: Worker \d ended 5 times in a row .* by SIGKILL; the gateway stops\.$/m,
    );
  },
);

test.runIf(HAS_PROC)(
  "kill -9 of the supervisor leaves no process, stdio children included [I5]",
  async () => {
    await using stdio = await startStdioLedger();
    const mark = randomUUID();
    await using vmcp = await startPatiently({
      config: {
        backends: [
          { name: "b", command: stdio.command, args: [...stdio.args], env: { MARK: mark } },
        ],
        operational: { sessionManagementV2: true },
      },
      args: WORKERS,
      env: { SUPERVISED: mark },
    });
    await countOf(await openOn(vmcp.url, 0));
    await countOf(await openOn(vmcp.url, 1));
    await waitFor(() => processesWithEnv("MARK", mark).length >= 2);

    process.kill(vmcp.pid, "SIGKILL");
    await waitFor(() => processesWithEnv("SUPERVISED", mark).length === 0);
    await waitFor(() => processesWithEnv("MARK", mark).length === 0);

    await expect(sendRaw(`${vmcp.origin}/health`)).rejects.toThrow("ECONNREFUSED");
  },
);

test.runIf(HAS_PROC)(
  "while a worker crashes no call runs twice, and sessions of others go on [I1] [I3]",
  async () => {
    await using backend = await startHttpLedger();
    await using vmcp = await startWorkers(backend);
    const history = new History("crash");
    const sessions = await Promise.all(
      Array.from({ length: 6 }, async () =>
        openRawRunSession({ url: vmcp.url, history, patienceMs: PATIENCE_MS }),
      ),
    );
    const [, victim = 0] = workersOf(vmcp);

    const calling = sessions.map(async (session) => {
      for (let turn = 0; turn < 12; turn += 1) {
        const nonce = history.nextNonce();
        // A client waits for each answer before it goes on.
        // oxlint-disable-next-line no-await-in-loop
        await session.call({ tool: "b_nonce", nonce, args: { ms: 20 }, cancelAfterMs: undefined });
      }
    });
    await waitFor(() => history.count("ok") > 12);
    kill(victim);
    await Promise.all(calling);
    await Promise.all(sessions.map(async (session) => session.end("vanish")));

    const executions = backend.ledger.calls.map(({ session, nonce = "" }) => ({
      backend: "b",
      backendSession: session,
      nonce,
    }));
    const survivors = new Set(sessions.map(({ id }) => id).filter((id) => id.startsWith("00")));
    const troubled = history.events.filter(
      ({ kind, session }) => survivors.has(session) && (kind === "fail" || kind === "unknown"),
    );
    expect(survivors.size).toBeGreaterThan(0);
    expect(checkHistory(history.events, executions)).toEqual([]);
    expect(troubled).toEqual([]);
    expect(history.count("ok")).toBeLessThan(72);
  },
);

test("SIGTERM lets the calls of all workers finish, and ends with 0 [F30]", async () => {
  await using backend = await startHttpLedger();
  await using vmcp = await startWorkers(backend, {
    config: configOf(backend, { drainDeadline: "30s" }),
  });
  const sessions = [await openOn(vmcp.url, 0), await openOn(vmcp.url, 1)];
  const calls = sessions.map(async (session, index) =>
    session.request("tools/call", {
      name: "b_nonce",
      arguments: { nonce: `last-${index}`, ms: 700 },
    }),
  );
  await waitFor(() => noncesOf(backend.ledger).length === 2);

  process.kill(vmcp.pid, "SIGTERM");
  const answers = await Promise.all(calls);
  const { code, stdout } = await vmcp.exited;

  for (const answer of answers) expect(answer).toMatchObject({ result: {} });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^draining… \(\d+ sessions\)$/m);
  expect(stdout).toMatch(/^stopped$/m);
  expect(backend.openSessions).toBe(0);
});

test.runIf(HAS_PROC)(
  "a signal to the whole group is one signal, and a second one ends all at once",
  async () => {
    await using backend = await startHttpLedger();
    await using vmcp = await startWorkers(backend, {
      config: configOf(backend, { drainDeadline: "20s" }),
    });
    const session = await openOn(vmcp.url, 1);
    const hanging = session.post({
      jsonrpc: "2.0",
      id: 5,
      method: "tools/call",
      params: { name: "b_hang", arguments: { nonce: "hang" } },
    });
    hanging.catch(() => {});
    await waitFor(() => noncesOf(backend.ledger).includes("hang"));
    const pids = [vmcp.pid, ...workersOf(vmcp)];

    for (const pid of pids) process.kill(pid, "SIGINT");
    await waitFor(() => vmcp.stdout.includes("draining"));
    const during = pids.filter(isRunning);
    process.kill(vmcp.pid, "SIGINT");
    const { code } = await vmcp.exited;

    // The other worker has nothing to wait for.
    expect(during).toEqual(expect.arrayContaining([pids[0], pids[2]]));
    expect(code).toBe(130);
    await waitFor(() => pids.filter(isRunning).length === 0);
  },
);

test("a reload reaches the sessions of all workers, and is told once", async () => {
  await using backend = await startHttpLedger();
  await using other = await startHttpLedger();
  await using vmcp = await startWorkers(backend);
  const sessions = [await openOn(vmcp.url, 0), await openOn(vmcp.url, 1)];
  await waitFor(() => vmcp.stdout.includes("\nready\n"));
  const backends = [
    { name: "b", url: backend.url },
    { name: "c", url: other.url },
  ];

  writeFileSync(vmcp.configFile ?? "", stringify({ ...configOf(backend), backends }));
  await waitFor(() => vmcp.stdout.includes("configuration reloaded"));
  const counts = await Promise.all(
    sessions.map(async (session) =>
      waitFor(async () => {
        const params = { name: "c_count", arguments: {} };
        const answer = JSON.stringify(await session.request("tools/call", params));
        return answer.includes('"1"') && answer;
      }),
    ),
  );
  writeFileSync(vmcp.configFile ?? "", "backends: 1");
  await waitFor(() => vmcp.stdout.includes("configuration not reloaded"));

  expect(counts).toHaveLength(2);
  expect(vmcp.stdout.match(/^backend c is added$/gm)).toHaveLength(1);
  expect(vmcp.stdout).toMatch(
    /^configuration reloaded \(generation 2\): 1 change in force, \d+ sessions$/m,
  );
  expect(vmcp.stdout.match(/^backend c \(auto\) is healthy: .*$/gm)?.length ?? 0).toBeLessThan(2);
  await expect(countOf(sessions[1] ?? (await openOn(vmcp.url, 1)))).resolves.toHaveProperty(
    "result",
  );
});

test("limits of the gateway are divided, so that all workers together keep to them", async () => {
  await using backend = await startHttpLedger();
  await using vmcp = await startWorkers(backend, { config: configOf(backend, { maxSessions: 4 }) });

  const opened = await Promise.allSettled(
    Array.from({ length: 8 }, async () => openRawSession(vmcp.url)),
  );

  expect(opened.filter(({ status }) => status === "fulfilled")).toHaveLength(4);
});

test("connections beyond the share of a worker are closed", async () => {
  await using backend = await startHttpLedger();
  await using vmcp = await startWorkers(backend, {
    config: { ...configOf(backend), limits: { maxConnections: 4 } },
  });
  const head = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  const { hostname, port } = new URL(vmcp.url);

  const sockets = Array.from({ length: 8 }, () => connect(Number(port), hostname));
  const answers = sockets.map((socket) => {
    onTestFinished(() => void socket.destroy());
    const seen = { text: "", isClosed: false };
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      seen.text += chunk;
    });
    socket
      .on("error", () => {})
      .on("close", () => {
        seen.isClosed = true;
      });
    socket.write(head);
    return seen;
  });
  await waitFor(() => answers.every(({ text, isClosed }) => text !== "" || isClosed));

  const served = answers.filter(({ text }) => text.startsWith("HTTP/1.1 200"));
  expect(served.length).toBeGreaterThan(0);
  expect(served.length).toBeLessThanOrEqual(4);
});

test("--workers auto serves too, and 1 is one process without a supervisor", async () => {
  await using backend = await startHttpLedger();
  await using auto = await startWorkers(backend, { args: ["--workers", "auto"] });
  await using alone = await startWorkers(backend, { args: ["--workers", "1"] });

  const answers = await Promise.all(
    [auto, alone].map(async ({ origin }) => JSON.parse((await sendRaw(`${origin}/status`)).text)),
  );

  expect(answers[0]).toHaveProperty("name");
  expect(answers[1]).not.toHaveProperty("worker");
});

test.for([
  [["--workers", "0"], /--workers must be a whole number from 1 to 64, or auto, not "0"/],
  [["--workers", "2", "--stdio"], /--workers means nothing with --stdio/],
] as const)("%j is refused in one sentence", async ([args, sentence]) => {
  const { code, stderr } = await runVmcp([
    "serve",
    "--backend",
    "b=http://127.0.0.1:1/mcp",
    ...args,
  ]);

  expect(code).toBe(64);
  expect(stderr).toMatch(sentence);
});

test("what keeps the gateway from starting is said once, with its exit code", async () => {
  await using backend = await startHttpLedger();
  const port = await freePort();
  await using first = await startWorkers(backend, { args: [...WORKERS, "--port", String(port)] });
  const serve = ["serve", "--backend", `b=${backend.url}`, ...WORKERS];

  const taken = await runVmcp([...serve, "--port", String(port)]);

  expect(first.url).toContain(String(port));
  expect(taken.code).toBe(71);
  expect(taken.stderr).toMatch(/^vmcp: Port \d+ on 127.0.0.1 is already in use/m);
});

test("what keeps every worker from starting is said once, with its exit code", async () => {
  await using backend = await startHttpLedger();
  const bundled = { name: "b", url: backend.url, caBundlePath: "missing.pem" };

  const started = startPatiently({ config: { backends: [bundled] }, args: WORKERS });

  // Between the two there is nothing but the one sentence.
  await expect(started).rejects.toThrow(
    /^vmcp did not start \(78\)\.[^]*\nvmcp: (?:(?!caBundlePath)[^])*caBundlePath(?:(?!caBundlePath)[^])*$/,
  );
});
