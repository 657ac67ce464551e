// One child of a stdio backend that misbehaves as its orders say. What it gets and does goes to a file of JSON lines.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

const orders = JSON.parse(process.argv[2]);

/** Real numbers would endanger the machine that the test runs on; more than a few tell nothing more. */
const MOST_FORKS = 30;
const GRANDCHILD_SECONDS = "60";
const ENDLESS_PART = "a".repeat(64 * 1024);

const record = (...entry) => appendFileSync(orders.ledgerFile, `${JSON.stringify(entry)}\n`);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

function startGrandchild() {
  return spawn("sleep", [GRANDCHILD_SECONDS], { stdio: "inherit" });
}

function execute({ params }) {
  record("call", params?.arguments?.nonce ?? params?.name);
}

function writeWithoutEnd() {
  while (process.stdout.write(ENDLESS_PART));
  process.stdout.once("drain", writeWithoutEnd);
}

/** Each returns whether nothing comes after it. */
const STEPS = new Map([
  ["execute", (_value, message) => execute(message)],
  ["hang", () => true],
  ["stdout", (text) => void process.stdout.write(text)],
  ["stderr", (text) => void process.stderr.write(text)],
  [
    "stdoutEndless",
    () => {
      writeWithoutEnd();
      return true;
    },
  ],
  [
    "killSelf",
    (signal) => {
      process.kill(process.pid, signal);
      return true;
    },
  ],
  ["grandchild", () => void startGrandchild()],
  [
    "exitKeepPipe",
    () => {
      startGrandchild().unref();
      process.exit(0);
    },
  ],
  [
    "fork",
    (count) => {
      for (let n = 0; n < Math.min(count, MOST_FORKS); n += 1) startGrandchild();
      return true;
    },
  ],
  ["crashLoop", () => process.exit(1)],
]);

function misbehave(message) {
  const isOver = orders.do
    .flatMap((step) => Object.entries(step))
    .some(([name, value]) => STEPS.get(name)?.(value, message) === true);
  if (!isOver)
    answer(
      message,
      orders.do.some((step) => "execute" in step),
    );
}

function answer(message, hasExecuted) {
  const { id, method, params } = message;
  if (id === undefined || method === undefined) return;
  if (method === "initialize") {
    const serverInfo = { name: "misbehaving", version: "1.0.0" };
    const { protocolVersion } = params;
    say({
      jsonrpc: "2.0",
      id,
      result: { protocolVersion, capabilities: { tools: {} }, serverInfo },
    });
  } else if (method === "tools/list") {
    say({ jsonrpc: "2.0", id, result: { tools: orders.tools.map((tool) => JSON.parse(tool)) } });
  } else if (method === "tools/call") {
    if (!hasExecuted) execute(message);
    say({ jsonrpc: "2.0", id, result: JSON.parse(orders.result) });
  } else if (method === "ping") {
    say({ jsonrpc: "2.0", id, result: {} });
  } else {
    say({ jsonrpc: "2.0", id, error: { code: -32_601, message: "Method not found" } });
  }
}

record("start", process.pid);
// A child that is to be more than one at its end has to be so from the beginning.
if (orders.on === "shutdown") for (const _step of orders.do) startGrandchild();

createInterface({ input: process.stdin }).on("line", (line) => {
  record("got", line);
  const message = JSON.parse(line);
  if (message.method === "notifications/cancelled") record("cancelled", message.params?.requestId);
  if (message.method === orders.on) misbehave(message);
  else answer(message, false);
});
