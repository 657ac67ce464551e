// The stdio end of a scripted backend: it carries bytes between its own stdin, stdout and stderr and the test that
// listens on the port in the first argument, which decides everything. Further arguments: `ignore-eof` stays alive
// after the end of input, `ignore-term` survives SIGTERM, `grandchild` starts a child that holds the same pipes.
// Without its test it ends.
import { spawn } from "node:child_process";
import { connect } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";

const [port = "0", ...flags] = process.argv.slice(2);
const control = connect(Number(port), "127.0.0.1");

const tell = (message) => control.write(`${JSON.stringify(message)}\n`);

/** Says why, and leaves once that is on its way. */
function end(ending, code) {
  control.end(`${JSON.stringify({ type: "ending", ending })}\n`, () => process.exit(code));
}

function startGrandchild() {
  const idle = "setInterval(() => {}, 1000)";
  return spawn(process.execPath, ["-e", idle], { stdio: "inherit" }).pid;
}

const ORDERS = new Map([
  ["stdout", ({ data }) => process.stdout.write(Buffer.from(data, "base64"))],
  ["stderr", ({ data }) => process.stderr.write(Buffer.from(data, "base64"))],
  ["exit", ({ code }) => end("told", code)],
  ["kill", ({ signal }) => process.kill(process.pid, signal)],
]);

tell({
  type: "hello",
  pid: process.pid,
  cwd: process.cwd(),
  env: process.env,
  ...(flags.includes("grandchild") && { grandchild: startGrandchild() }),
});

process.stdin.on("data", (data) => tell({ type: "stdin", data: data.toString("base64") }));
process.stdin.on("end", () => {
  tell({ type: "eof" });
  if (!flags.includes("ignore-eof")) end("eof", 0);
});
process.on("SIGTERM", () => {
  tell({ type: "sigterm" });
  if (!flags.includes("ignore-term")) end("sigterm", 143);
});
process.stdout.on("error", () => {});
createInterface({ input: control }).on("line", (line) => {
  const order = JSON.parse(line);
  ORDERS.get(order.type)?.(order);
});
control.on("error", () => process.exit(70));
control.on("close", () => process.exit(70));
if (flags.includes("ignore-eof")) setInterval(() => {}, 60_000);
