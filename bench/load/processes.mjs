import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";

const START_TIMEOUT_MS = 30_000;
const ENDPOINT = /http:\/\/\S+\/mcp\b/;

const PIN_COMMAND = "taskset";

/** Pinning keeps the gateway's core its own: the gateway on the first, everything else on the second. */
export const CAN_PIN =
  process.platform === "linux" &&
  availableParallelism() >= 2 &&
  spawnSync(PIN_COMMAND, ["--version"]).status === 0;
export const GATEWAY_CORE = 0;
export const OTHER_CORE = 1;

/** Starts a Node program pinned to a core. */
export function startNode(args, core) {
  const [command, ...rest] = CAN_PIN
    ? [PIN_COMMAND, "-c", String(core), process.execPath, ...args]
    : [process.execPath, ...args];
  return spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
}

/** Starts a server and resolves with `{child, url}` when it has printed its endpoint. */
export async function startServer(args, core) {
  const child = startNode(args, core);
  let output = "";
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${args[0]} ${why}:\n${output}`));
    const timer = setTimeout(() => fail("printed no endpoint"), START_TIMEOUT_MS);
    const read = (chunk) => {
      // Bounded: a server that talks all the time must not fill our memory.
      output = (output + chunk).slice(-10_000);
      const found = ENDPOINT.exec(output)?.[0];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => {
      clearTimeout(timer);
      fail(`ended with ${code}`);
    });
  }).catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  return { child, url };
}

/** Microseconds on a CPU of a process and its threads; undefined where /proc does not tell. */
export function cpuMicros(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanos = threads.map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0]),
    );
    return nanos.reduce((sum, each) => sum + each, 0) / 1000;
  } catch {
    return undefined;
  }
}

/** The process and all its descendants: a gateway may have workers. */
export function treeOf(pid) {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
    return [pid, ...children.split(" ").filter(Boolean).map(Number).flatMap(treeOf)];
  } catch {
    return [pid];
  }
}
