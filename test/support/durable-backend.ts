import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("durable-backend.mjs", import.meta.url));

/** What becomes of a call. Dying is SIGKILL; before means that nothing was executed. */
export type CallFate = "answer" | "hang" | "die-before" | "die-after";

/** One execution, as it stands on disk. */
export interface DurableExecution {
  readonly nonce: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** A ledger on disk that outlives the processes which write it. Its one tool is `nonce`. */
export class DurableLedger implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "vmcp-durable-"));
  readonly #file = join(this.#folder, "ledger.jsonl");

  get executions(): readonly DurableExecution[] {
    // Written by the program beside this file.
    return readLines(this.#file).map((line) => JSON.parse(line) as DurableExecution);
  }

  /** The arguments of a stdio backend; the program is this very Node. */
  stdioArgs(fate: CallFate = "answer"): string[] {
    return [PROGRAM, this.#file, fate, "stdio"];
  }

  /** The arguments of a backend over streamable HTTP, which prints the port that it has. */
  httpArgs(fate: CallFate, port: number): string[] {
    return [PROGRAM, this.#file, fate, String(port)];
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A backend over streamable HTTP in a process of its own, whose executions stay on disk. */
export class DurableBackend implements AsyncDisposable {
  readonly #ledger = new DurableLedger();
  #process: ChildProcess | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  get port(): number {
    return this.#port;
  }

  get executions(): readonly DurableExecution[] {
    return this.#ledger.executions;
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  /** Starts a process with no sessions, on the port of the first time. */
  async start(fate: CallFate = "answer"): Promise<void> {
    const started = spawn(process.execPath, this.#ledger.httpArgs(fate, this.#port), {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = started;
    // The emitter's contract: what comes first is the line with the port.
    const [line] = (await once(started.stdout, "data")) as [Buffer];
    this.#port = Number(line.toString());
  }

  /** Ends the process at once, whatever it is doing. */
  async kill(): Promise<void> {
    if (this.#process === undefined || !this.isRunning) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#ledger[Symbol.dispose]();
  }
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").split("\n").slice(0, -1);
  } catch {
    // Nothing was executed yet.
    return [];
  }
}
