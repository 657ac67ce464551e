import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { DEADLINES } from "../../lib/deadlines.ts";
import type { Command } from "./command.ts";

/** How long each step of ending a child may take before the next, less polite one. */
const STEP_MS = 2_000;

/** How a process ended: one of the two is set. */
export interface ExitCause {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `exited with code 3` or `was killed by SIGKILL`. */
export function describeExit({ code, signal }: ExitCause): string {
  return signal === null ? `exited with code ${code ?? "?"}` : `was killed by ${signal}`;
}

/**
 * A child in a process group of its own, so that whatever it starts can be ended with it.
 *
 * Launchers like `npx` leave the real program behind when only they are killed. If our own process ends
 * without disposing, the groups that still live are killed on the way out.
 */
export class ProcessGroup {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #child: ChildProcess;
  #exit: ExitCause | undefined;
  #isKilled = false;
  #stopping: Promise<void> | undefined;

  /** A program that cannot be started throws here or makes `failure` be called, and never `exit`. */
  constructor(
    { program, args, env, cwd }: Command,
    on: {
      readonly failure: (thrown: unknown) => void;
      readonly exit: (cause: ExitCause) => void;
    },
  ) {
    const child = spawn(program, args, {
      cwd,
      env,
      shell: false,
      detached: process.platform !== "win32",
      windowsHide: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    child.on("error", (thrown) => {
      if (child.pid === undefined) on.failure(thrown);
    });
    const { stdin, stdout, stderr } = child;
    // Contrary to its type a child has no pipes when the process is out of file descriptors.
    if (stdin === undefined) throw Object.assign(new Error("no pipes"), { code: "EMFILE" });
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = stderr;
    child.once("exit", (code, signal) => {
      this.#exit = { code, signal };
      on.exit(this.#exit);
    });
    if (child.pid !== undefined) LIVE_GROUPS.add(child.pid);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ends the child at its own pace first: end of input, then SIGTERM, then SIGKILL. Safe to repeat. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  /** Ends everything in the group now and lets go of its pipes. */
  kill(): void {
    // Once all of the group is gone its number may come to be another's.
    if (this.#isKilled && !this.#isRunning()) return;
    this.#isKilled = true;
    this.#signal("SIGKILL");
    if (this.pid !== undefined) LIVE_GROUPS.delete(this.pid);
    // A grandchild that escaped the group may hold the other ends for ever.
    this.stdin.destroy();
    this.stdout.destroy();
    this.stderr.destroy();
  }

  async #stop(): Promise<void> {
    this.stdin.end();
    await this.#exitWithin(STEP_MS);
    if (this.#isRunning()) {
      this.#signal("SIGTERM");
      await this.#exitWithin(STEP_MS);
    }
    // What the child started lives on without it, so the group is ended even when the child is gone.
    this.kill();
    await this.#exitWithin(STEP_MS);
  }

  async #exitWithin(ms: number): Promise<void> {
    if (!this.#isRunning()) return;
    const tooLate = new AbortController();
    const deadline = DEADLINES.add(ms, () => tooLate.abort());
    try {
      await once(this.#child, "exit", { signal: tooLate.signal });
    } catch {
      // It still runs; the caller looks and takes the next step.
    } finally {
      deadline.cancel();
    }
  }

  #isRunning(): boolean {
    return this.pid !== undefined && this.#exit === undefined;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined) signalGroup(this.pid, signal);
  }
}

/** The groups to end when the process ends; the handler exists only while there are any. */
const LIVE_GROUPS = {
  pids: new Set<number>(),

  add(pid: number): void {
    if (this.pids.size === 0) process.once("exit", killAll);
    this.pids.add(pid);
  },

  delete(pid: number): void {
    if (this.pids.delete(pid) && this.pids.size === 0) process.removeListener("exit", killAll);
  },
};

function killAll(): void {
  for (const pid of LIVE_GROUPS.pids) signalGroup(pid, "SIGKILL");
}

/** A group that is already gone is what was wanted. Where there are no groups the child alone is signalled. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, signal);
  } catch {
    // ESRCH: nobody left to signal.
  }
}
