import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

export interface PeerExit {
  readonly code: number | null;
  /** Without colours. */
  readonly stdout: string;
  readonly stderr: string;
}

/** A home folder of a peer's own, in which it finds no settings, logins or history of anybody. */
export interface PeerHome extends Disposable {
  readonly folder: string;
  /** The whole environment of what runs here. */
  readonly env: Readonly<Record<string, string>>;
  write(name: string, content: string | object): void;
  /** Runs a program to its end, in this folder and without input. Kills it after `RUN_TIMEOUT_MS`. */
  run(
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<PeerExit>;
}

const RUN_TIMEOUT_MS = 90_000;

/** What colours a terminal's text. */
// oxlint-disable-next-line no-control-regex
const ESCAPES = /\u001B\[[0-9;?]*[A-Za-z]/g;

export function createPeerHome(): PeerHome {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-peer-"));
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    USERPROFILE: folder,
    XDG_CONFIG_HOME: join(folder, ".config"),
    XDG_DATA_HOME: join(folder, ".local/share"),
    XDG_CACHE_HOME: join(folder, ".cache"),
    XDG_STATE_HOME: join(folder, ".local/state"),
    NO_COLOR: "1",
  };
  return {
    folder,
    env,
    write(name, content) {
      const file = join(folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    },
    run: async (command, args, more = {}) => run(command, args, folder, { ...env, ...more }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<PeerExit> {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      texts[name] += chunk.replaceAll(ESCAPES, "");
    });
  }
  // `close` and not `exit`: all output has come then. The emitter's contract gives the code.
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...texts };
}
