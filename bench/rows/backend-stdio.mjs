import process from "node:process";
import { createInterface } from "node:readline";

/** Serves a scripted backend over stdio: the process is the session. */
export function serveStdio(backend) {
  const session = backend.newSession();
  process.stdout.on("error", () => process.exit(0));
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    backend.receive(session, JSON.parse(line), { message: say, answer: say }).catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
      lines.close();
    });
  });
  lines.on("close", () => process.exit());
}

function say(text) {
  if (text !== undefined) process.stdout.write(`${text}\n`);
}
