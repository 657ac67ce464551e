import { accessSync, constants, existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { backendsFromFlags } from "../config/backend-flags.ts";
import { findClientConfigs } from "../config/clients/find-client-configs.ts";
import { loadConfig, resolveConfig } from "../config/load-config.ts";
import { ConfigError, type ConfigProblem } from "../config/problems.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** Which configuration a command works on, as its command line says. */
export interface ConfigSource {
  readonly file: string | undefined;
  /** Texts as `--backend` takes them. */
  readonly backends: readonly string[];
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly path?: string | undefined;
  readonly allowInsecureAnonymous?: boolean | undefined;
}

export interface UsedConfig {
  readonly config: VmcpConfig;
  /** For people: the file relative to where they are, or the command line. */
  readonly origin: string;
  readonly warnings: readonly ConfigProblem[];
  /** The file that it came from, if it came from one. */
  readonly file: string | undefined;
}

const DEFAULT_FILES = ["vmcp.yaml", "vmcp.yml", "vmcp.json", ".mcp.json"] as const;
const FLAG_SOURCE = "--backend";
const ENDPOINT_PATH = /^(?:\/[A-Za-z0-9._~-]+)+$/;

/**
 * Loads the file that is named, else the backends that are named, else the first file of the current folder that
 * has one of the default names. Throws `ConfigError`, or `CliError` where there is nothing to load.
 */
export function useConfig(source: ConfigSource, terminal: Terminal): UsedConfig {
  if (source.path !== undefined && !ENDPOINT_PATH.test(source.path)) {
    throw new CliError(EXIT.usage, `--path ${source.path} is not a path such as /mcp.`);
  }
  try {
    return source.backends.length > 0 ? fromFlags(source, terminal) : fromFile(source, terminal);
  } catch (error) {
    if (!(error instanceof ConfigError) || source.host === undefined) throw error;
    throw new ConfigError(error.problems.map(withAuthAdvice));
  }
}

function fromFile(source: ConfigSource, terminal: Terminal): UsedConfig {
  const path = configFile(source.file, terminal);
  const { host, port, allowInsecureAnonymous } = source;
  const loaded = loadConfig({
    path,
    env: terminal.env,
    cwd: terminal.cwd,
    overrides: { host, port, allowInsecureAnonymous },
  });
  const { config, warnings } = loaded;
  const file = resolve(terminal.cwd, path);
  return { config: withPath(config, source.path), origin: path, warnings, file };
}

/**
 * The configuration file to use, as short as it can be named from the current folder. Throws `CliError` where
 * there is none or it may not be read.
 */
export function configFile(named: string | undefined, terminal: Terminal): string {
  const { cwd } = terminal;
  const file = named ?? DEFAULT_FILES.find((name) => existsSync(join(cwd, name)));
  if (file === undefined) throw new CliError(EXIT.noInput, nothingToServe(terminal));
  const path = resolve(cwd, file);
  requireReadable(path, file);
  const shorter = relative(cwd, path);
  return shorter === "" || shorter.startsWith("..") ? path : shorter;
}

/** Throws `CliError` where the file does not exist or may not be read; `shown` is its name in the message. */
export function requireReadable(path: string, shown: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const isThere = existsSync(path);
    const reason = isThere
      ? "may not be read by this user: change its permissions"
      : "does not exist: check the path, or write a new one with `vmcp init`";
    throw new CliError(EXIT.noInput, `The file ${shown} ${reason}.`, { cause: error });
  }
}

function fromFlags(source: ConfigSource, { env, cwd }: Terminal): UsedConfig {
  if (source.file !== undefined) {
    throw new CliError(
      EXIT.usage,
      `Name either a file or --backend: ${source.file} and the backends of the command line are not merged.`,
    );
  }
  const { host, port, path, allowInsecureAnonymous } = source;
  const server = {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(path !== undefined && { path }),
  };
  const input = {
    ...backendsFromFlags(source.backends),
    server,
    ...(allowInsecureAnonymous === true && {
      incomingAuth: { type: "anonymous", allowInsecureAnonymous },
    }),
  };
  try {
    return {
      config: resolveConfig(input, { env, baseDir: cwd }),
      origin: "the command line",
      warnings: [],
      file: undefined,
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => ({ ...problem, file: FLAG_SOURCE })));
  }
}

/** A client's file has no place to say who may call, so the command line must have one. */
function withAuthAdvice(problem: ConfigProblem): ConfigProblem {
  if (problem.path !== "incomingAuth") return problem;
  return {
    ...problem,
    suggestion: "--allow-insecure-anonymous lets everybody call who reaches it",
  };
}

function withPath(config: VmcpConfig, path: string | undefined): VmcpConfig {
  return path === undefined ? config : { ...config, server: { ...config.server, path } };
}

function nothingToServe({ home, cwd, platform, env }: Terminal): string {
  const found = findClientConfigs({ home, cwd, platform, env, exists: existsSync })[0];
  const example = found === undefined ? "" : ` (for example ${found.path})`;
  return (
    "There is no configuration here: name a file of vmcp or of an MCP client" +
    `${example}, add --backend NAME=URL, or write a first vmcp.yaml with \`vmcp init\`.`
  );
}
