import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerScript } from "./ledger-script.ts";
import { type LedgerBackend, ScriptedBackend } from "./scripted-backend.ts";
import { ScriptedSession } from "./scripted-session.ts";

const PROCESS_FILE = fileURLToPath(new URL("ledger-backend-process.mjs", import.meta.url));

/** How the children misbehave. */
export type ChildFlag = "ignore-eof" | "ignore-term" | "grandchild";

/** How a child ended: end of input, SIGTERM, told to by the test, or without a word (a crash or SIGKILL). */
export type ChildEnding = "eof" | "sigterm" | "told" | "silent";

type FromChild =
  | {
      readonly type: "hello";
      readonly pid: number;
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
      readonly grandchild?: number;
    }
  | { readonly type: "stdin"; readonly data: string }
  | { readonly type: "eof" }
  | { readonly type: "sigterm" }
  | { readonly type: "ending"; readonly ending: ChildEnding };

/**
 * A scripted MCP backend over stdio. Whoever starts `command` with `args` gets a child with a session of its own,
 * whose every byte is answered from this process, so that the ledger outlives the child.
 */
export async function startStdioLedger(
  script: Partial<LedgerScript> = {},
  flags: readonly ChildFlag[] = [],
): Promise<StdioLedger> {
  const ledger = new StdioLedger(script, flags);
  await ledger.listen();
  return ledger;
}

/** One process of a stdio backend, as it was or is. */
export class LedgerChild {
  readonly session: ScriptedSession;
  pid = 0;
  cwd = "";
  env: ReadonlyMap<string, string> = new Map();
  grandchildPid: number | undefined;
  hasSeenEof = false;
  hasSeenSigterm = false;
  /** Undefined while it lives. */
  ending: ChildEnding | undefined;
  /** What it got on stdin, as lines. */
  readonly lines: string[] = [];
  readonly #control: Socket;
  #rest = Buffer.alloc(0);

  constructor(session: ScriptedSession, control: Socket) {
    this.session = session;
    this.#control = control;
  }

  get isAlive(): boolean {
    return this.ending === undefined;
  }

  /** Writes any bytes to the child's stdout. */
  writeRaw(bytes: string | Uint8Array): void {
    this.#order({ type: "stdout", data: Buffer.from(bytes).toString("base64") });
  }

  writeLine(text: string): boolean {
    if (!this.isAlive) return false;
    this.writeRaw(`${text}\n`);
    return true;
  }

  writeStderr(text: string): void {
    this.#order({ type: "stderr", data: Buffer.from(text).toString("base64") });
  }

  exit(code: number): void {
    this.#order({ type: "exit", code });
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#order({ type: "kill", signal });
  }

  /** Takes what came in on stdin and returns the lines that are complete now. */
  takeInput(bytes: Buffer): readonly string[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const end = all.lastIndexOf("\n") + 1;
    this.#rest = all.subarray(end);
    const lines = all.subarray(0, end).toString().split("\n").slice(0, -1);
    this.lines.push(...lines);
    return lines;
  }

  #order(order: JsonObject): void {
    this.#control.write(`${JSON.stringify(order)}\n`);
  }
}

/** Made by `startStdioLedger`. */
export class StdioLedger implements LedgerBackend {
  readonly command = process.execPath;
  /** Every process that was started, in order of its start. */
  readonly children: LedgerChild[] = [];
  readonly #flags: readonly ChildFlag[];
  readonly #backend: ScriptedBackend;
  readonly #server: Server;
  readonly #controls = new Set<Socket>();

  constructor(script: Partial<LedgerScript>, flags: readonly ChildFlag[]) {
    this.#flags = flags;
    this.#backend = new ScriptedBackend(script);
    this.#server = createServer((socket) => this.#adopt(socket));
  }

  get args(): readonly string[] {
    // A server that listens on TCP has an address object.
    const { port } = this.#server.address() as AddressInfo;
    return [PROCESS_FILE, String(port), ...this.#flags];
  }

  get ledger(): Ledger {
    return this.#backend.ledger;
  }

  get sessions(): readonly ScriptedSession[] {
    return this.#backend.sessions;
  }

  get openSessions(): number {
    return this.#backend.sessions.length;
  }

  get initializeCount(): number {
    return this.ledger.initializes.length;
  }

  get aliveChildren(): readonly LedgerChild[] {
    return this.children.filter((child) => child.isAlive);
  }

  change(script: Partial<LedgerScript>): void {
    this.#backend.change(script);
  }

  notify(method: string, params?: JsonObject): number {
    return this.#backend.notify(method, params);
  }

  resourceUpdated(uri: string): number {
    return this.#backend.resourceUpdated(uri);
  }

  async request(session: ScriptedSession, method: string, params: JsonObject): Promise<string> {
    return this.#backend.request(session, method, params);
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Ends every child that is left: a child without its test exits by itself. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const control of this.#controls) control.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #adopt(control: Socket): void {
    this.#controls.add(control);
    const session = new ScriptedSession(this.#backend);
    const child = new LedgerChild(session, control);
    control.on("error", () => control.destroy());
    control.on("close", () => {
      this.#controls.delete(control);
      child.ending ??= "silent";
      this.#backend.closed(session);
    });
    const lines = createInterface({ input: control });
    // A child that was killed resets its connection; the close that follows says so.
    lines.on("error", () => control.destroy());
    lines.on("line", (line) => {
      // Written by our own child process.
      this.#hear(child, JSON.parse(line) as FromChild);
    });
  }

  #hear(child: LedgerChild, message: FromChild): void {
    switch (message.type) {
      case "hello":
        child.pid = message.pid;
        child.cwd = message.cwd;
        child.env = new Map(Object.entries(message.env));
        child.grandchildPid = message.grandchild;
        this.children.push(child);
        this.#backend.opened(child.session, (text) => child.writeLine(text));
        return;
      case "stdin":
        for (const line of child.takeInput(Buffer.from(message.data, "base64")))
          this.#deliver(child, line);
        return;
      case "eof":
        child.hasSeenEof = true;
        this.ledger.deletes.push(child.session.tag);
        return;
      case "sigterm":
        child.hasSeenSigterm = true;
        return;
      case "ending":
        child.ending = message.ending;
    }
  }

  #deliver(child: LedgerChild, line: string): void {
    const reply = {
      event: (text: string) => void child.writeLine(text),
      answer: (text: string) => void child.writeLine(text),
      crash: (code: number) => child.exit(code),
    };
    // What is not a message ends the child, as it ends any strict backend.
    child.session.receive(line, reply).catch(() => child.exit(65));
  }
}
