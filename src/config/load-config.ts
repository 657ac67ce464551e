import { basename, dirname, resolve } from "node:path";
import type { z } from "zod";
import { clientServers, isClientConfig } from "./clients/client-servers.ts";
import type { ConvertedServers } from "./clients/convert-client-config.ts";
import { convertServers, sourcePath } from "./clients/convert-client-config.ts";
import type { ConfigOverrides } from "./compile-config.ts";
import { compileConfig } from "./compile-config.ts";
import type { ConfigProblem, Finding } from "./problems.ts";
import { ConfigError, pathText, problem } from "./problems.ts";
import type { RawObject } from "./raw-values.ts";
import { isRawObject, kindOf, listOf, objectOf, textOf } from "./raw-values.ts";
import type { ReadFile } from "./read-bounded-file.ts";
import { readBoundedFile } from "./read-bounded-file.ts";
import type { Environment, ReferenceSources } from "./references.ts";
import { lookUp } from "./references.ts";
import type { configSchema } from "./schema/config-schema.ts";
import type { ConfigFormat } from "./sources/parse-source.ts";
import { formatOf, limitsFor, parseSource } from "./sources/parse-source.ts";
import type { SourceTree } from "./sources/source-tree.ts";
import type { VmcpConfig } from "./vmcp-config.ts";

const MAX_SECRET_BYTES = 64 * 1024;
/** Folders in which editors keep settings of the folder around them. */
const SETTINGS_FOLDERS: ReadonlySet<string> = new Set([".vscode", ".cursor", ".gemini"]);

interface CommonOptions {
  /** Where references and `…Env` fields find their variables. */
  readonly env: Environment;
  /** What a command line says in place of the file. */
  readonly overrides?: ConfigOverrides;
  /** Reads the configuration and secret files; default the disk. */
  readonly readFile?: ReadFile;
  /** The folder whose project entry in a client's history file counts; default none. */
  readonly cwd?: string;
}

export interface LoadOptions extends CommonOptions {
  readonly path: string;
}

export interface ParseOptions extends CommonOptions {
  readonly text: string;
  /** For messages, for the format where none is given, and as the base of relative paths. */
  readonly fileName: string;
  readonly format?: ConfigFormat;
}

export interface LoadedConfig {
  readonly config: VmcpConfig;
  /** `client`: the file is the configuration of an MCP client. */
  readonly kind: "vmcp" | "client";
  /** What is accepted but has no effect, or was left out. */
  readonly warnings: readonly ConfigProblem[];
  readonly path: string;
}

/** What `createVmcp` takes: the content of a configuration file as an object. */
export type VmcpConfigInput = z.input<typeof configSchema> & {
  readonly mcpServers?: Readonly<Record<string, unknown>>;
};

/**
 * Reads, checks and completes a configuration file: ours in YAML or JSON, or that of an MCP client in JSON or
 * TOML. Throws `ConfigError` with every problem. Never waits for a FIFO or device, and reads 1 MiB at most.
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const { path, ...common } = options;
  const text = readText(path, options.readFile ?? readBoundedFile);
  return parseConfig({ ...common, text, fileName: path });
}

/** As `loadConfig`, for a text that is at hand. */
export function parseConfig(options: ParseOptions): LoadedConfig {
  const { text, fileName } = options;
  const format = options.format ?? formatOf(fileName, text);
  const tree = parseSource(text, fileName, format);
  const kind = isClientConfig(tree.value, format) ? "client" : "vmcp";
  const baseDir = dirname(resolve(fileName));
  const project = SETTINGS_FOLDERS.has(basename(baseDir)) ? dirname(baseDir) : baseDir;
  const prepared = prepare(tree.value, kind, options, fileName);
  const compiled = compileConfig(prepared.input, {
    references: referenceSources(options, baseDir, kind === "client" ? project : undefined),
    baseDir: kind === "client" ? project : baseDir,
    overrides: options.overrides ?? {},
    isSessionScopedByDefault: kind === "client",
    leftOut: prepared.converted.leftOut,
  });
  const findings = inSource(prepared.converted, compiled.findings);
  const { warnings, problems } = locateAll(findings, tree, fileName);
  if (problems.length > 0 || compiled.config === undefined) throw new ConfigError(problems);
  return { config: compiled.config, kind, warnings, path: fileName };
}

/**
 * Checks and completes a configuration given as an object of the same shape as the file. Without
 * `operational`, sessions have their own backend sessions. Throws `ConfigError`; warnings are dropped.
 */
export function resolveConfig(
  input: unknown,
  options: { readonly env?: Environment; readonly baseDir?: string } = {},
): VmcpConfig {
  const tree: SourceTree = { value: input, locate: () => ({ line: 1, column: 1 }) };
  const baseDir = resolve(options.baseDir ?? ".");
  const prepared = prepare(input, "vmcp", {}, "config");
  const compiled = compileConfig(prepared.input, {
    references: referenceSources({ env: options.env ?? {} }, baseDir, undefined),
    baseDir,
    overrides: {},
    isSessionScopedByDefault: objectOf(input)["operational"] === undefined,
    leftOut: prepared.converted.leftOut,
  });
  const findings = inSource(prepared.converted, compiled.findings);
  const { problems } = locateAll(findings, tree, "config");
  if (problems.length > 0 || compiled.config === undefined) throw new ConfigError(problems);
  return compiled.config;
}

function readText(path: string, readFile: ReadFile): string {
  try {
    return readFile(path, limitsFor(path).maxBytes);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : "cannot be read";
    const message = `the configuration file ${reason}`;
    throw new ConfigError([{ file: path, line: 1, column: 1, path: "", message }]);
  }
}

interface Prepared {
  /** The configuration in our own shape. */
  readonly input: RawObject;
  readonly converted: ConvertedServers;
}

/** Turns the servers of a client's configuration, or those under our own `mcpServers`, into `backends`. */
function prepare(
  value: unknown,
  kind: LoadedConfig["kind"],
  { cwd }: { readonly cwd?: string },
  fileName: string,
): Prepared {
  if (!isRawObject(value)) {
    const message = `must be a mapping of fields such as backends, but ${kindOf(value)} stands here`;
    throw new ConfigError([{ file: fileName, line: 1, column: 1, path: "", message }]);
  }
  if (kind === "client") {
    const isUrlSse = basename(dirname(fileName)) === ".gemini";
    const converted = convertServers(clientServers(value, cwd), { isLenient: true, isUrlSse });
    const { backends, tools } = converted;
    return {
      input: { backends, ...(tools.length > 0 ? { aggregation: { tools } } : {}) },
      converted,
    };
  }
  return prepareOwn(value);
}

function prepareOwn(value: RawObject): Prepared {
  const { mcpServers, ...input } = value;
  const own = listOf(input["backends"]);
  const names = own.flatMap((backend) => textOf(objectOf(backend)["name"]) ?? []);
  const servers = Object.entries(objectOf(mcpServers)).map(([name, entry]) => ({
    name,
    path: ["mcpServers", name],
    entry,
  }));
  const aggregation = objectOf(input["aggregation"]);
  const ownTools = listOf(aggregation["tools"]);
  const before = { backends: own.length, tools: ownTools.length, names };
  const converted = convertServers(servers, { isLenient: false, isUrlSse: false }, before);
  if (mcpServers !== undefined && !isRawObject(mcpServers)) {
    const message = `must be a mapping of servers by name, but ${kindOf(mcpServers)} stands here`;
    return { input, converted: { ...converted, findings: [problem(["mcpServers"], message)] } };
  }
  const isOdd = input["backends"] !== undefined && !Array.isArray(input["backends"]);
  if (mcpServers === undefined || isOdd) return { input, converted };
  const { backends, tools } = converted;
  const withRules = { aggregation: { ...aggregation, tools: [...ownTools, ...tools] } };
  const added = { backends: [...own, ...backends], ...(tools.length > 0 ? withRules : {}) };
  return { input: { ...input, ...added }, converted };
}

function inSource(converted: ConvertedServers, findings: readonly Finding[]): readonly Finding[] {
  const translated = findings.map((finding) => ({
    ...finding,
    path: sourcePath(finding.path, converted.origins),
  }));
  return [...converted.findings, ...translated];
}

function referenceSources(
  options: Omit<CommonOptions, "overrides">,
  baseDir: string,
  project: string | undefined,
): ReferenceSources {
  const { env, readFile = readBoundedFile } = options;
  const home = lookUp(env, "HOME") ?? lookUp(env, "USERPROFILE");
  const variables = new Map<string, string>();
  if (project !== undefined) {
    variables.set("workspaceFolder", project);
    if (home !== undefined) variables.set("userHome", home);
  }
  const readSecret = (path: string): string => readFile(resolve(baseDir, path), MAX_SECRET_BYTES);
  return { env, variables, readSecret };
}

function locateAll(
  findings: readonly Finding[],
  tree: SourceTree,
  file: string,
): { readonly warnings: readonly ConfigProblem[]; readonly problems: readonly ConfigProblem[] } {
  const warnings: ConfigProblem[] = [];
  const problems: ConfigProblem[] = [];
  for (const { severity, path, ...rest } of findings) {
    const located = { file, ...tree.locate(path), path: pathText(path), ...rest };
    (severity === "problem" ? problems : warnings).push(located);
  }
  return { warnings, problems: problems.toSorted(byPlace) };
}

function byPlace(left: ConfigProblem, right: ConfigProblem): number {
  return left.line - right.line || left.column - right.column;
}
