#!/usr/bin/env node
import process from "node:process";
import { EXIT } from "./exit-codes.ts";
import { main } from "./main.ts";
import { processTerminal } from "./terminal.ts";

const terminal = processTerminal();

process.on("uncaughtException", (error) => {
  void end(error);
});

process.exitCode = await main(process.argv.slice(2), terminal);

/** Nothing is known of the state of a process after such an error, so it ends; children are killed on the way out. */
async function end(error: unknown): Promise<void> {
  try {
    const { reportFailure } = await import("./failures.ts");
    reportFailure(error, terminal);
  } catch {
    // Another version took the place of this one while it ran, and what would tell it better is gone.
    process.stderr.write(`vmcp: ${String(error)}\n`);
  } finally {
    process.exit(EXIT.internal);
  }
}
