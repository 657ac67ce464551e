import process from "node:process";
import { EXIT } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { runWorker } from "./serve/worker-process.ts";
import { processTerminal } from "./terminal.ts";

/** A terminal and a service manager signal the whole group; what is to be done then comes from the supervisor alone. */
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const terminal = processTerminal();

process.on("uncaughtException", (error) => {
  reportFailure(error, terminal);
  process.exit(EXIT.internal);
});

process.exitCode = await runWorker(terminal);
