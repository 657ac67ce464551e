// How long the command takes to answer, and the gateway to serve.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CLI } from "./candidates.mjs";
import { format, held, median, told } from "./figures.mjs";
import {
  FOLDER,
  GATEWAY_CORE,
  OTHER_CORE,
  pathOf,
  startNode,
  startServer,
  stop,
} from "./processes.mjs";

const MAX_VERSION_MS = 120;
const MAX_READY_MS = 400;

export async function measure({ count = "15" }, say) {
  const backend = await startServer([pathOf("backend.mjs")], { core: OTHER_CORE });
  const config = join(FOLDER, "boot.yaml");
  writeFileSync(
    config,
    JSON.stringify({ backends: [{ name: "b1", url: backend.url, transport: "streamable-http" }] }),
  );
  const times = { node: [], version: [], ready: [] };
  try {
    for (let run = 0; run < Number(count); run += 1) {
      times.node.push(await untilExit(["-e", "0"]));
      times.version.push(await untilExit([CLI, "--version"]));
      times.ready.push(await untilReady([CLI, "serve", config, "--port", "0"]));
    }
  } finally {
    await stop(backend);
  }
  say(`${count} spawns of each`);
  const [node, version, ready] = [times.node, times.version, times.ready].map(median);
  const figures = [
    told("node with nothing to do", `${format(node, 0)} ms`),
    held("vmcp --version", version, { atMost: MAX_VERSION_MS }, " ms", 0),
    held(
      "vmcp serve, to the line that says ready, one backend",
      ready,
      { atMost: MAX_READY_MS },
      " ms",
      0,
    ),
    told(
      "the same less what node alone takes",
      `${format(version - node, 0)} ms, ${format(ready - node, 0)} ms`,
    ),
  ];
  return { figures, errors: 0 };
}

async function untilExit(args) {
  const startMs = performance.now();
  const child = startNode(args, GATEWAY_CORE);
  child.stdout.resume();
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return performance.now() - startMs;
}

async function untilReady(args) {
  const startMs = performance.now();
  const child = startNode(args, GATEWAY_CORE);
  let output = "";
  const readyMs = await new Promise((resolve, reject) => {
    child.stderr.on("data", (chunk) => (output += chunk));
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (/^ready$/m.test(output)) resolve(performance.now() - startMs);
    });
    child.on("exit", (code) => reject(new Error(`serve ended with ${code}: ${output}`)));
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  return readyMs;
}
