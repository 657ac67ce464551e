import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { sendRaw } from "./raw-client.ts";
import { waitFor } from "./quiescence.ts";

/** A stdio server as a configuration names it. */
export interface StdioCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The official example server with everything in it. */
export function everythingCommand(): StdioCommand {
  return { command: process.execPath, args: [binOf("@modelcontextprotocol/server-everything")] };
}

/** The knowledge graph server, which keeps its graph in `file`. */
export function memoryCommand(file: string): StdioCommand {
  return {
    command: process.execPath,
    args: [binOf("@modelcontextprotocol/server-memory")],
    env: { MEMORY_FILE_PATH: file },
  };
}

/** The file system server, which may see the folders named. */
export function filesystemCommand(...folders: readonly string[]): StdioCommand {
  return {
    command: process.execPath,
    args: [binOf("@modelcontextprotocol/server-filesystem"), ...folders],
  };
}

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Starts server-everything over streamable HTTP on a free port and resolves when it answers. */
export async function startEverythingServer(): Promise<RunningServer> {
  const port = await freePort();
  const script = binOf("@modelcontextprotocol/server-everything");
  const child = spawn(process.execPath, [script, "streamableHttp"], {
    // One of its tools shows the environment, so it gets none of ours.
    env: { PORT: String(port) },
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  const url = `http://127.0.0.1:${port}/mcp`;
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  try {
    await waitFor(() => answers(url), { what: "server-everything answers" });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid ?? 0, stop, [Symbol.asyncDispose]: stop };
}

/**
 * A port that was free a moment ago, for programs that cannot choose one themselves. Somebody else may take it in
 * between; whatever can listen on port 0 should.
 */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(url: string): Promise<boolean> {
  return sendRaw(url).then(
    () => true,
    () => false,
  );
}

/** The file that a package's only command runs. */
function binOf(packageName: string): string {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve(`${packageName}/package.json`);
  // The packages named above all have a map of commands with one entry.
  const { bin } = require(manifest) as { readonly bin: Readonly<Record<string, string>> };
  return join(dirname(manifest), Object.values(bin)[0] ?? "");
}

/** The server that keeps a chain of thoughts in memory: each call makes the chain one longer. */
export function sequentialThinkingCommand(): StdioCommand {
  return {
    command: process.execPath,
    args: [binOf("@modelcontextprotocol/server-sequential-thinking")],
    env: { DISABLE_THOUGHT_LOGGING: "true" },
  };
}
