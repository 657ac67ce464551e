import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../src/domain/json.ts";
import { processesWithEnv } from "../support/quiescence.ts";
import type { Behaviour } from "./entry.ts";
import type { RigBackend } from "./rig-backend.ts";
import { RESULT, toolEntry } from "./rig-tools.ts";

const CHILD_FILE = fileURLToPath(new URL("stdio-child.mjs", import.meta.url));

/** What a child knows to do; a behaviour with anything else is refused before a child starts. */
const CHILD_STEPS: ReadonlySet<string> = new Set([
  "enoent",
  "execute",
  "hang",
  "stdout",
  "stderr",
  "stdoutEndless",
  "killSelf",
  "grandchild",
  "exitKeepPipe",
  "fork",
  "crashLoop",
]);

/** Starting again and again is only bad in numbers: a child that ends as it starts may be started this often in a minute. */
const MOST_STARTS = 6;

/** Marks every process that comes from one backend, whoever its parent is by then. */
const MARK = "VMCP_CATALOGUE_CHILD";

/** A backend over stdio of which each child behaves. Its ledger is a file, which outlives the children. */
export class StdioRig implements RigBackend {
  readonly configuration: JsonObject;
  readonly #folder = mkdtempSync(join(tmpdir(), "vmcp-catalogue-"));
  readonly #ledgerFile = join(this.#folder, "ledger");
  readonly #mark = this.#folder;

  constructor(name: string, behaviour: Behaviour, configuration: JsonObject) {
    for (const step of behaviour.do) requireKnown(step);
    const orders = {
      ledgerFile: this.#ledgerFile,
      on: behaviour.on,
      do: behaviour.do,
      tools: [toolEntry("echo")],
      result: RESULT,
    };
    const isMissing = behaviour.do.some((step) => "enoent" in step);
    this.configuration = {
      name,
      transport: "stdio",
      command: isMissing ? join(this.#folder, "no-such-program") : process.execPath,
      args: [CHILD_FILE, JSON.stringify(orders)],
      env: { [MARK]: this.#mark },
      ...configuration,
    };
  }

  executions(): readonly string[] {
    return this.#entries("call");
  }

  cancellations(): number {
    return this.#entries("cancelled").length;
  }

  /** A child is a session. */
  openSessions(): number {
    return this.survivors().length;
  }

  received(): string {
    return this.#entries("got").join("\n");
  }

  headerNames(): ReadonlySet<string> {
    return new Set();
  }

  async arm(): Promise<void> {}

  /** What is wrong with how often children were started; undefined where nothing is. */
  startsProblem(): string | undefined {
    const starts = this.#entries("start").length;
    return starts > MOST_STARTS ? `${starts} children started, at most ${MOST_STARTS}` : undefined;
  }

  /** The processes that live, whether they are children or children of theirs. */
  survivors(): readonly number[] {
    return processesWithEnv(MARK, this.#mark).map(({ pid }) => pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.survivors()) process.kill(pid, "SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The ledger has one JSON array per line: what happened, and what it was about. */
  #entries(kind: string): readonly string[] {
    return this.#lines()
      .map((line): unknown => JSON.parse(line))
      .flatMap((entry) => (Array.isArray(entry) && entry[0] === kind ? [String(entry[1])] : []));
  }

  #lines(): readonly string[] {
    try {
      return readFileSync(this.#ledgerFile, "utf8").split("\n").filter(Boolean);
    } catch {
      // No child has started yet, or none can.
      return [];
    }
  }
}

function requireKnown(step: Readonly<Record<string, unknown>>): void {
  if (Object.keys(step).every((key) => CHILD_STEPS.has(key))) return;
  throw new TypeError(`the behaviour ${JSON.stringify(step)} is not known over stdio`);
}
