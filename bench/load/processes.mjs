// Every process that the bench starts, and its end.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const START_TIMEOUT_MS = 30_000;
const POLITE_STOP_MS = 200;
const STOP_TIMEOUT_MS = 5_000;
const ENDPOINT = /http:\/\/\S+\/mcp\b/;
const PIN_COMMAND = "taskset";

/** Pinning keeps the gateway's core its own: the gateway on the first, everything else on the second. */
export const CAN_PIN =
  process.platform === "linux" &&
  availableParallelism() >= 2 &&
  spawnSync(PIN_COMMAND, ["--version"]).status === 0;
export const GATEWAY_CORE = 0;
export const OTHER_CORE = 1;

/** For configurations and what else is written while the bench runs; gone when it ends. */
export const FOLDER = mkdtempSync(join(tmpdir(), "vmcp-bench-"));

const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(FOLDER, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** The absolute path of a file of this folder, or relative to it. */
export function pathOf(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The command line that runs a Node program pinned to a core. */
export function pinned(args, core) {
  const command = [process.execPath, ...args];
  return CAN_PIN ? [PIN_COMMAND, "-c", String(core), ...command] : command;
}

/** Runs a Node program to its end; resolves with `{code, stdout, stderr}`, the ends of both outputs. */
export async function runNode(args, core, env = {}) {
  const child = startNode(args, core, env);
  const output = collect(child);
  const [code] = await once(child, "close");
  return { code, ...output };
}

/**
 * Starts a Node program that serves, and resolves with `{child, url, output}`: when it has printed its endpoint, or
 * when it takes connections where `url` says that it will.
 */
export async function startServer(args, { core = GATEWAY_CORE, env = {}, url, cwd } = {}) {
  const child = startNode(args, core, env, cwd);
  const output = collect(child);
  try {
    const endpoint = await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        if (url === undefined) return ENDPOINT.exec(output.stdout + output.stderr)?.[0];
        return (await accepts(new URL(url))) ? url : undefined;
      },
      START_TIMEOUT_MS,
      "it did not begin to serve",
    );
    return { child, url: endpoint, output };
  } catch (error) {
    await stop({ child });
    const said = (output.stdout + output.stderr).slice(-1_000);
    throw new Error(`${args[0]}: ${error.message}\n${said}`, { cause: error });
  }
}

/**
 * Ends it and waits until it is gone. A gateway that would go on serving for a while takes the second signal to mean at
 * once, and still writes the profile that was asked for.
 */
export async function stop({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const again = setTimeout(() => child.kill("SIGTERM"), POLITE_STOP_MS);
  const last = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(again);
  clearTimeout(last);
}

/** Polls until the answer is not undefined; rejects with `why` when it takes too long. */
export async function waitFor(ask, timeoutMs, why) {
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await delay(20);
  }
  throw new Error(why);
}

/** A port that nobody listened on a moment ago, for programs that cannot take any free one themselves. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** One run of the generator; resolves with what it printed, or with one error that says why it could not. */
export async function generate({ url, transport = "http", pids = [] }, args) {
  const where = ["--url", url, "--transport", transport, "--pids", pids.join(",")];
  const { stdout, stderr } = await runNode([pathOf("loadgen.mjs"), ...where, ...args], OTHER_CORE);
  try {
    return JSON.parse(stdout);
  } catch {
    return { answers: 0, errors: 1, firstError: stderr.slice(-500) };
  }
}

/** Starts a Node program pinned to a core; it is killed when the bench ends. */
export function startNode(args, core, env = {}, cwd) {
  const [command, ...rest] = pinned(args, core);
  const child = spawn(command, rest, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** Bounded: a server that talks all the time must not fill our memory. */
function collect(child, maxLength = 100_000) {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (chunk) => {
      output[name] = (output[name] + chunk).slice(-maxLength);
    });
  return output;
}

async function accepts({ hostname, port }) {
  const socket = connect({ host: hostname, port: Number(port) });
  const isOpen = await new Promise((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  });
  socket.destroy();
  return isOpen;
}
