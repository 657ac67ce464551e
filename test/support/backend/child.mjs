// A stdio backend whose tools are its ways of misbehaving. Arguments: flags that change how it starts and ends.
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { createInterface } from "node:readline";

const flags = new Set(process.argv.slice(2));
const send = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const result = (id, value = { content: [] }) => send({ jsonrpc: "2.0", id, result: value });
const progress = (progressToken) =>
  send({
    jsonrpc: "2.0",
    method: "notifications/progress",
    params: { progressToken, progress: 1 },
  });

if (flags.has("exit-at-start")) {
  console.error("cannot open the database");
  process.exit(3);
}
if (flags.has("silent")) setInterval(() => {}, 1_000);
if (flags.has("stubborn")) {
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 1_000);
}
if (flags.has("grandchild")) startGrandchild();

function startGrandchild() {
  const script = "process.on('SIGTERM',()=>{});setInterval(()=>{},1000)";
  const child = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return child.pid;
}

const tools = {
  echo: (message) => result(message.id, { content: [], params: message.params }),
  env: (message) => result(message.id, { content: [], env: process.env, cwd: process.cwd() }),
  wait: () => {},
  exit: () => process.exit(3),
  answerAndExit: (message) => process.stdout.write(answerText(message), () => process.exit(0)),
  kill: () => process.kill(process.pid, "SIGKILL"),
  endless: () => {
    process.stdout.on("drain", pour);
    pour();
  },
  banner: (message) => {
    process.stdout.write("Server listening...\n\n{not json\n");
    result(message.id);
  },
  garbage: () => process.stdout.write("garbage\n".repeat(200)),
  twice: (message) => {
    result(message.id, { content: [], n: 1 });
    result(message.id, { content: [], n: 2 });
    result("unknown id");
  },
  progress: (message) => {
    const { _meta: meta } = message.params;
    progress(meta.progressToken);
    progress("forged");
    result(message.id);
  },
  ask: () => send({ jsonrpc: "2.0", id: 1, method: "elicitation/create", params: {} }),
  nullResult: (message) => result(message.id, null),
  stderr: (message) => {
    process.stderr.write(`one\n${"y".repeat(200_000)}\nthree\n`, () => result(message.id));
  },
  exitKeepPipe: (message) => {
    startGrandchild();
    if (message !== undefined) setTimeout(() => process.exit(0), 50);
  },
  grandchild: (message) => result(message.id, { content: [], pid: startGrandchild() }),
  stopReading: (message) => {
    input.pause();
    result(message.id);
  },
  stopReadingAndExit: () => {
    input.pause();
    setTimeout(() => process.exit(3), 100);
  },
  closeInput: (message) => {
    process.stdin.destroy();
    closeSync(0);
    setInterval(() => {}, 1_000);
    result(message.id);
  },
};

function pour() {
  while (process.stdout.write("x".repeat(65_536)));
}

function answerText(message) {
  return `${JSON.stringify({ jsonrpc: "2.0", id: message.id, result: { content: [] } })}\n`;
}

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  if (flags.has("silent")) return;
  const message = JSON.parse(line);
  if (message.method === "initialize") {
    if (flags.has("roots")) send({ jsonrpc: "2.0", id: 1, method: "roots/list" });
    result(message.id, {
      protocolVersion: "2025-11-25",
      capabilities: {},
      serverInfo: { name: "child", version: "1" },
    });
  } else if (message.method === "tools/call") {
    tools[message.params.name](message);
  } else if (message.method === "notifications/cancelled") {
    send({ jsonrpc: "2.0", method: "notifications/heard", params: message.params });
  } else if (message.id === 1 && message.result !== undefined) {
    send({ jsonrpc: "2.0", method: "notifications/answered", params: message.result });
  }
});
