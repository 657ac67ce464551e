import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { Execution } from "../../test/support/history.ts";

/** What becomes of a call. */
export type CallFate = "answer" | "hang" | "die-before" | "die-after" | "garbage" | "flood";

export interface SoakBackendOptions {
  readonly name: string;
  readonly transport: "http" | "sse" | "stdio";
  /** The scripted backend's program. */
  readonly program: string;
  /** Holds the ledger and the fate. */
  readonly folder: string;
}

const RESTART_MS = 1_000;

/**
 * A scripted backend in a process of its own, or, over stdio, in the processes that the gateway starts. It obeys a file;
 * what it executed stands in another, which survives its death.
 */
export class SoakBackend implements AsyncDisposable {
  readonly name: string;
  readonly args: readonly string[];
  readonly #transport: SoakBackendOptions["transport"];
  readonly #ledgerFile: string;
  readonly #fateFile: string;
  #fate: { readonly epoch: number; readonly calls: CallFate } = { epoch: 0, calls: "answer" };
  #child: ChildProcess | undefined;
  #port = 0;
  #isClosing = false;
  #isDown = false;

  constructor({ name, transport, program, folder }: SoakBackendOptions) {
    this.name = name;
    this.#transport = transport;
    this.#ledgerFile = join(folder, `${name}.ledger`);
    this.#fateFile = join(folder, `${name}.fate`);
    const files = ["--ledger", this.#ledgerFile, "--fate", this.#fateFile];
    const keepAlive = ["--keep-alive-ms", "2000"];
    this.args = [program, "--transport", transport, "--name", name, ...files, ...keepAlive];
    writeFileSync(this.#ledgerFile, "");
    this.#writeFate();
  }

  /** 0 for one over stdio. */
  get port(): number {
    return this.#port;
  }

  /** Every call that was executed, in order. */
  get executions(): readonly Execution[] {
    // Written by the scripted backend, one per line.
    return lines(this.#ledgerFile).map((line) => JSON.parse(line) as Execution);
  }

  /** Starts the process of a backend over HTTP, on the port of the first time. One that dies is started again. */
  async start(): Promise<void> {
    if (this.#transport === "stdio" || this.#isRunning) return;
    const child = spawn(process.execPath, [...this.args, "--port", String(this.#port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    child.once("exit", () => void this.#restart());
    // The emitter's contract: what comes first is the line that tells where it listens.
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    this.#port = Number(/:(\d+)\//.exec(line.toString())?.[1] ?? 0);
  }

  /** Of the next calls and those that hang now. */
  change(calls: CallFate): void {
    this.#fate = { ...this.#fate, calls };
    this.#writeFate();
  }

  /** Ends every session as a restart does: the backend knows none of them any more. */
  forgetSessions(): void {
    this.#fate = { ...this.#fate, epoch: this.#fate.epoch + 1 };
    this.#writeFate();
  }

  /** Ends the process; it comes back with `revive`. */
  kill(): void {
    this.#isDown = true;
    this.#child?.kill("SIGKILL");
  }

  async revive(): Promise<void> {
    if (!this.#isDown) return;
    this.#isDown = false;
    await this.start();
  }

  /** Stops or continues the process, which keeps its sockets meanwhile. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** Since when each session that the backend holds is open, by the wall clock. None for one over stdio. */
  async openSessions(): Promise<readonly number[]> {
    if (this.#transport === "stdio") return [];
    const answer = await fetch(`http://127.0.0.1:${this.#port}/figures`);
    // The scripted backend's own form.
    const { openedAtMs } = (await answer.json()) as { readonly openedAtMs: readonly number[] };
    return openedAtMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    if (this.#child === undefined || this.#child.exitCode !== null) return;
    const exited = this.#child.signalCode === null ? once(this.#child, "exit") : undefined;
    this.#child.kill("SIGKILL");
    await exited;
  }

  get #isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  async #restart(): Promise<void> {
    await delay(RESTART_MS);
    if (!this.#isClosing && !this.#isDown) await this.start();
  }

  /** Replaced and not rewritten: a reader finds the old or the new text, never half of one. */
  #writeFate(): void {
    writeFileSync(`${this.#fateFile}.new`, JSON.stringify(this.#fate));
    renameSync(`${this.#fateFile}.new`, this.#fateFile);
  }
}

/** Without the last line where it is still being written. */
function lines(file: string): readonly string[] {
  return readFileSync(file, "utf8").split("\n").slice(0, -1);
}
