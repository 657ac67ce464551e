// Shows the gateway in front of three real servers: `npm run demo` on a fresh clone. Runs before anything is installed,
// so it may use Node's own modules only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const START_TIMEOUT_MS = 30_000;
/** Longer than the gateway waits for calls in flight, so that it ends by itself where it can. */
const STOP_TIMEOUT_MS = 30_000;

/** server-everything would listen on every address and answer every web page; a module loaded before it keeps it at home. */
const LOOPBACK_ONLY = `data:text/javascript,${encodeURIComponent(`
  import { Server } from "node:net";
  const { listen } = Server.prototype;
  Server.prototype.listen = function (port, ...rest) {
    return listen.call(this, port, "127.0.0.1", ...rest);
  };
`)}`;

/** What was started, last first: stopped in this order. */
const running = [];
/** The end of everything, once it has begun. */
let stopping;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
process.exitCode = await main();

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-demo-"));
  try {
    const code = await run(folder);
    return stopping === undefined ? code : 0;
  } catch (error) {
    if (stopping !== undefined) return 0;
    say(error.message);
    return 1;
  } finally {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the gateway's exit code. */
async function run(folder) {
  if (!ensureInstalled()) return 1;
  say("building …");
  const built = await start([join(ROOT, "scripts/build.mjs")], { stdio: "inherit" }).ended;
  if (built !== 0) return 1;
  say("starting server-everything …");
  const config = writeConfig(folder, await startEverything());
  return start([join(ROOT, "dist/cli/bin.js"), "serve", config], { stdio: "inherit" }).ended;
}

/** Resolves with the server's URL when it answers. */
async function startEverything() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/mcp`;
  const server = start(
    ["--import", LOOPBACK_ONLY, binOf("server-everything"), "streamableHttp"],
    // One of its tools shows the environment, so it gets none of ours.
    { env: { PORT: String(port) }, stdio: "ignore" },
  );
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answers(url))) {
    if (server.hasEnded() || performance.now() > deadline)
      throw new Error("server-everything did not start");
    await delay(50);
  }
  return url;
}

/** The configuration is JSON, which is YAML too. */
function writeConfig(folder, everythingUrl) {
  const files = join(folder, "files");
  mkdirSync(files);
  writeFileSync(join(files, "hello.txt"), "Hello from the file system behind the gateway.\n");
  const config = {
    name: "vmcp-demo",
    backends: [
      { name: "everything", url: everythingUrl, transport: "streamable-http" },
      stdioBackend("memory", "server-memory", [], {
        MEMORY_FILE_PATH: join(folder, "memory.json"),
      }),
      stdioBackend("filesystem", "server-filesystem", [files]),
    ],
    operational: { sessionManagementV2: true },
  };
  const file = join(folder, "vmcp.yaml");
  writeFileSync(file, `${JSON.stringify(config, undefined, 2)}\n`);
  return file;
}

function stdioBackend(name, server, args, env = {}) {
  return {
    name,
    transport: "stdio",
    command: process.execPath,
    args: [binOf(server), ...args],
    env,
  };
}

/** Starts a Node program in a process group of its own, so that Ctrl-C reaches it through us alone and in order. */
function start(args, options) {
  if (stopping !== undefined) throw new Error("the demo is ending");
  const child = spawn(process.execPath, args, { cwd: ROOT, detached: true, ...options });
  const ended = once(child, "exit").then(([code]) => code);
  const entry = {
    child,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
  };
  running.unshift(entry);
  return entry;
}

/** The first signal ends everything in order, the next one at once. */
function onSignal() {
  if (stopping === undefined) void stop();
  else for (const { child } of running) endGroup(child.pid, "SIGKILL");
}

function stop() {
  stopping ??= endAll();
  return stopping;
}

/** The gateway ends before the server behind it. */
async function endAll() {
  for (const { child, ended, hasEnded } of running) {
    if (hasEnded()) continue;
    // As a person would: on SIGTERM the gateway gives balancers time first.
    endGroup(child.pid, "SIGINT");
    const timer = setTimeout(() => endGroup(child.pid, "SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }
}

function endGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended between our look and our signal.
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function answers(url) {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      response.resume();
      resolve(true);
    });
    request.on("error", () => resolve(false));
  });
}

/** The file that the package's only command runs. */
function binOf(server) {
  const folder = join(ROOT, "node_modules/@modelcontextprotocol", server);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, Object.values(bin)[0]);
}

function say(text) {
  console.error(`demo: ${text}`);
}
