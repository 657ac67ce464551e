// What every row is made of: processes, figures of them, and numbers.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 40_000;
const ENDPOINT = /http:\/\/\S+\/mcp\b/;
const MAX_OUTPUT = 200_000;

const CLI = pathOf("../../dist/cli/bin.js");
const PROBE = new URL("../../test/support/process-probe.mjs", import.meta.url).href;
const BACKEND = pathOf("backend.mjs");

const folder = mkdtempSync(join(tmpdir(), "vmcp-rows-"));
const children = new Set();

/** Ends every process that was started here and removes what they wrote. */
export async function cleanUp() {
  await Promise.all(
    [...children].map(async (child) => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    }),
  );
}
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/**
 * Starts a real `vmcp serve` with that configuration, a prefix before every tool and sessions of their own.
 * `wrap` is a command that runs it, `nodeArgs` are for Node itself.
 */
export async function startGateway({
  backends,
  limits = {},
  operational = {},
  wrap = [],
  nodeArgs = [],
}) {
  const file = join(folder, `vmcp-${children.size}.yaml`);
  const probeFile = join(folder, `probe-${children.size}`);
  const config = {
    backends,
    limits,
    aggregation: { conflictResolution: "prefix" },
    operational: { sessionManagementV2: true, ...operational },
  };
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(config));
  const args = [...nodeArgs, CLI, "serve", file, "--port", "0", "--log-level", "warn"];
  const env = {
    ...process.env,
    NODE_OPTIONS: `--expose-gc --import ${PROBE}`,
    VMCP_TEST_PROBE: probeFile,
  };
  const started = await startServer([...wrap, process.execPath, ...args], env);
  // The wrapper becomes the program.
  const { pid } = started.child;
  const { origin } = new URL(started.url);
  return {
    ...started,
    pid,
    origin,
    /** `{heapBytes, rssBytes, loopDelayP99Ms}`: the heap after a collection, the delay since the last report. */
    async report() {
      const port = readFileSync(probeFile, "utf8");
      const { text } = await get(`http://127.0.0.1:${port}/`);
      return JSON.parse(text);
    },
    async sessions() {
      return JSON.parse((await get(`${origin}/status`)).text).sessions;
    },
    /** Resolves with the exit code, null where it had to be killed. */
    async stop(signal = "SIGTERM") {
      const { child } = started;
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exited = once(child, "exit");
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      const [code] = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

/** Starts a scripted backend (see backend.mjs) in a process of its own. */
export async function startBackend(args = []) {
  const { url, child } = await startServer([process.execPath, BACKEND, ...args], process.env);
  return {
    url,
    pid: child.pid,
    figures: async () => JSON.parse((await get(new URL("/figures", url).href)).text),
  };
}

async function startServer([command, ...args], env) {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  const output = { text: "" };
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${args.join(" ")} ${why}:\n${output.text}`));
    const timer = setTimeout(() => fail("printed no endpoint"), START_TIMEOUT_MS);
    const read = (chunk) => {
      output.text = (output.text + chunk).slice(-MAX_OUTPUT);
      const found = ENDPOINT.exec(output.text)?.[0];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${signal ?? code}`);
    });
  });
  return { url, child, output };
}

/** One GET on a connection of its own: `{status, text, ms}`. Rejects after `timeoutMs`. */
export async function get(url, { timeoutMs = 30_000, agent = false } = {}) {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, timeout: timeoutMs }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      incoming.on("error", reject).on("end", () => {
        resolve({ status: incoming.statusCode, text, ms: performance.now() - startMs });
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
    outgoing.on("error", reject).end();
  });
}

/** Asks for `/health` twice a second until `stop`, which gives `{asked, failed, slowestMs}`. */
export function watchHealth(origin, { agent = false } = {}) {
  const tally = { asked: 0, failed: 0, slowestMs: 0 };
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      const answer = await get(`${origin}/health`, { timeoutMs: 10_000, agent }).catch(
        () => undefined,
      );
      tally.asked += 1;
      if (answer?.status === 200) tally.slowestMs = Math.max(tally.slowestMs, answer.ms);
      else tally.failed += 1;
      await delay(500);
    }
  })();
  return {
    async stop() {
      over.abort();
      await watching;
      return tally;
    },
  };
}

/** Watches the resident memory of a process until `stop`, which gives the largest figure in bytes. */
export function watchRss(pid) {
  let peak = rssOf(pid);
  const timer = setInterval(() => (peak = Math.max(peak, rssOf(pid))), 50);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(peak, rssOf(pid));
    },
  };
}

/** Resident memory in bytes; 0 for a process that is gone. */
export function rssOf(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}

export function descriptorsOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Connections that the kernel holds open at a port of ours on loopback, on the side of who listens. */
export function connectionsAt(url) {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync("/proc/net/tcp", "latin1").split("\n");
  return lines.filter((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return local.endsWith(`:${port}`) && state === ESTABLISHED;
  }).length;
}

/** As the kernel writes it. */
const ESTABLISHED = "01";

/** Share of a span in which a process was ready to run and had no CPU: `stolenSince(pid)` begins it, a call ends it. */
export function stolenSince(pid) {
  const startMs = performance.now();
  const before = waitedMs(pid);
  return () => (waitedMs(pid) - before) / (performance.now() - startMs);
}

/** Milliseconds on a CPU of a process and its threads, so far. */
export function cpuMs(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanos = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0]),
  );
  return nanos.reduce((sum, each) => sum + each, 0) / 1e6;
}

function waitedMs(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** Polls until it is true; resolves with whether it came true in time. */
export async function until(condition, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await condition()) return true;
    await delay(100);
  }
  return false;
}

/** NaN of no values. */
export function quantile(values, share) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

export function milliseconds(ms) {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export { delay };

function pathOf(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
