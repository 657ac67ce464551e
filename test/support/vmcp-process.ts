import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { inject } from "vitest";
import { waitFor } from "./quiescence.ts";

export interface VmcpOptions {
  /** YAML text, or a value to be written as YAML. Without it no file argument is given. */
  readonly config?: string | object;
  /** The name of the configuration file in the folder; the command decides by content, not by name. */
  readonly configName?: string;
  /** Come after `serve FILE --port 0`. */
  readonly args?: readonly string[];
  /** Added to this process's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Another command than the built one. */
  readonly bin?: string;
  readonly startTimeoutMs?: number;
}

export interface VmcpExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `vmcp serve`. Disposing stops it. */
export interface VmcpProcess extends AsyncDisposable {
  /** The MCP endpoint. */
  readonly url: string;
  /** The endpoint's origin, for `/health` and the like. */
  readonly origin: string;
  readonly pid: number;
  /** A folder of the process's own, which is its working folder and holds its configuration. */
  readonly folder: string;
  readonly configFile: string | undefined;
  /** Everything it printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when the process has ended, by whatever cause. */
  readonly exited: Promise<VmcpExit>;
  /** Sends the signal, SIGINT unless named, and waits for the end; kills after `STOP_TIMEOUT_MS`. */
  stop(signal?: NodeJS.Signals): Promise<VmcpExit>;
}

const BIN = fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url));
const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 40_000;
const ENDPOINT = /http:\/\/\S+\/mcp\b/;

/** Starts the real command in a folder of its own and resolves when it has printed its endpoint. */
export async function startVmcp(options: VmcpOptions = {}): Promise<VmcpProcess> {
  requireBuild(options.bin);
  const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
  const configFile = writeConfig(folder, options);
  const files = configFile === undefined ? [] : [configFile];
  const started = launch(["serve", ...files, "--port", "0", ...(options.args ?? [])], {
    ...options,
    folder,
  });
  const exited = removeAfter(started.exited, folder);
  const url = await endpointOf(started, options.startTimeoutMs ?? START_TIMEOUT_MS);

  const stop = async (signal: NodeJS.Signals = "SIGINT"): Promise<VmcpExit> => {
    started.child.kill(signal);
    const timer = setTimeout(() => started.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    return exited.finally(() => clearTimeout(timer));
  };
  return {
    url,
    origin: new URL(url).origin,
    pid: started.child.pid ?? 0,
    folder,
    configFile,
    get stdout() {
      return started.output.stdout;
    },
    get stderr() {
      return started.output.stderr;
    },
    exited,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Runs the real command with these arguments to its end. */
export async function runVmcp(
  args: readonly string[],
  options: Omit<VmcpOptions, "config" | "args"> & { readonly folder?: string } = {},
): Promise<VmcpExit> {
  requireBuild(options.bin);
  return launch(args, options).exited;
}

interface Launched {
  readonly child: ChildProcess;
  readonly output: { readonly stdout: string; readonly stderr: string };
  readonly exited: Promise<VmcpExit>;
}

function launch(
  args: readonly string[],
  options: Omit<VmcpOptions, "config"> & { readonly folder?: string },
): Launched {
  const child = spawn(process.execPath, [options.bin ?? BIN, ...args], {
    ...(options.folder !== undefined && { cwd: options.folder }),
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output.stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    output.stderr += chunk;
  });
  return { child, output, exited: exitOf(child, output) };
}

async function exitOf(child: ChildProcess, output: Launched["output"]): Promise<VmcpExit> {
  // `close` and not `exit`: all output has come then. The emitter's contract gives these two.
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...output };
}

async function removeAfter(exited: Promise<VmcpExit>, folder: string): Promise<VmcpExit> {
  try {
    return await exited;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function endpointOf(started: Launched, timeoutMs: number): Promise<string> {
  const { output, child } = started;
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const find = (): string | undefined => ENDPOINT.exec(output.stdout + output.stderr)?.[0];
  try {
    await waitFor(() => find() !== undefined || hasEnded(), { timeoutMs, what: "an endpoint" });
  } catch {
    child.kill("SIGKILL");
  }
  const url = find();
  if (url !== undefined && !hasEnded()) return url;
  const { code, signal, stdout, stderr } = await started.exited;
  throw new Error(`vmcp did not start (${signal ?? code}).\n${stdout}\n${stderr}`);
}

function writeConfig(folder: string, { config, configName }: VmcpOptions): string | undefined {
  if (config === undefined) return undefined;
  const file = join(folder, configName ?? "vmcp.yaml");
  writeFileSync(file, typeof config === "string" ? config : stringify(config));
  return file;
}

/** An old build must not stand in for sources that do not compile. */
function requireBuild(bin: string | undefined): void {
  if (bin !== undefined) return;
  const failure = inject("buildFailure");
  if (failure) throw new Error(`there is no build to test:\n${failure}`);
}
